"""Semantic Kernel: `ChatCompletionAgent` on a thread, with the framework's truncation reducer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from semantic_kernel.agents import ChatCompletionAgent, ChatHistoryAgentThread
from semantic_kernel.connectors.ai.chat_completion_client_base import ChatCompletionClientBase
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.contents import (
    ChatHistory,
    ChatHistoryTruncationReducer,
    ChatMessageContent,
    FunctionCallContent,
    FunctionResultContent,
    TextContent,
)
from semantic_kernel.functions import KernelFunctionFromMethod, KernelPlugin, kernel_function
from semantic_kernel.functions.kernel_parameter_metadata import KernelParameterMetadata

from looprig.adapters import chat

FRAMEWORK = "semantic-kernel"
PACKAGES = ("semantic-kernel",)
EXTRA = "semantic-kernel"

PLUGIN = "looprig"
"""Tools belong to a plugin, and the framework puts its name before theirs; the adapter takes it off again."""

MAX_ROUNDS = 1000
"""Far above what a scenario has; the framework's own limit is 5 rounds a turn."""


def make(model: Any, tools: Any, *, target: int | None = None, max_rounds: int = MAX_ROUNDS) -> Loop:
    """Return an agent; *target* reduces its thread to about so many messages before each turn."""
    history = ChatHistory() if target is None else ChatHistoryTruncationReducer(target_count=target)
    return Loop(model, tools, history, max_rounds)


class Loop:
    """One conversation with an agent, whose messages a thread keeps."""

    def __init__(self, model: Any, tools: Any, history: Any, max_rounds: int) -> None:
        self._thread = ChatHistoryAgentThread(chat_history=history)
        choice = FunctionChoiceBehavior.Auto()
        choice.maximum_auto_invoke_attempts = max_rounds
        self._agent = ChatCompletionAgent(
            name=PLUGIN,
            service=_Service(ai_model_id="looprig", asked=model),
            plugins=[KernelPlugin(PLUGIN, functions=[_function(tool) for tool in tools.values()])],
            function_choice_behavior=choice,
        )

    def add_system(self, text: str) -> None:
        before = self._agent.instructions
        self._agent.instructions = before + chat.BETWEEN + text if before else text

    async def send(self, text: str) -> str:
        await self._thread.reduce()
        response = await self._agent.get_response(messages=text, thread=self._thread)
        return str(response.content)


def chats(messages: Iterable[Any]) -> list[chat.Chat]:
    """Return the framework's messages."""
    return [entry for message in messages for entry in _chats(message)]


def _chats(message: Any) -> list[chat.Chat]:
    text = "".join(item.text for item in message.items if isinstance(item, TextContent))
    if message.role == "system":
        return chat.systems(text)
    results = [item for item in message.items if isinstance(item, FunctionResultContent)]
    if results:
        return [chat.result(item.call_id or item.id, str(item.result)) for item in results]
    calls = [_call(item) for item in message.items if isinstance(item, FunctionCallContent)]
    return [chat.asked(text, calls) if calls else chat.said(message.role.value, text)]


def _call(item: Any) -> chat.Call:
    text = item.arguments if isinstance(item.arguments, str) else chat.written(item.arguments)
    return chat.Call(item.id, item.name.removeprefix(f"{PLUGIN}-"), text)


class _Service(ChatCompletionClientBase):
    """Looprig's model as a chat completion service."""

    SUPPORTS_FUNCTION_CALLING: ClassVar[bool] = True
    asked: Any

    async def _inner_get_chat_message_contents(self, chat_history: Any, settings: Any) -> list[ChatMessageContent]:
        reply = await self.asked.acomplete(chats(chat_history.messages))
        items: list[Any] = [TextContent(text=reply["content"])] if reply["content"] else []
        items += [
            FunctionCallContent(id=call.id, name=f"{PLUGIN}-{call.name}", arguments=call.arguments)
            for call in chat.calls_of(reply)
        ]
        return [ChatMessageContent(role="assistant", items=items)]


def _function(tool: Any) -> KernelFunctionFromMethod:
    @kernel_function(name=tool.name, description=tool.description)
    async def run(**arguments: Any) -> str:
        return await chat.run(tool, arguments)

    names = tool.parameters["properties"]
    parameters = [KernelParameterMetadata(name=name, type="str", is_required=True, type_object=str) for name in names]
    return KernelFunctionFromMethod(run, PLUGIN, parameters=parameters)
