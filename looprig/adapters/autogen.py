"""AutoGen: `autogen_agentchat.agents.AssistantAgent`, with one of the framework's model contexts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_core import CancellationToken, FunctionCall
from autogen_core.model_context import BufferedChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    RequestUsage,
    SystemMessage,
)
from autogen_core.tools import BaseTool
from pydantic import BaseModel, create_model

from looprig.adapters import chat

FRAMEWORK = "autogen"
PACKAGES = ("autogen-agentchat", "autogen-core")
EXTRA = "autogen"

MAX_ROUNDS = 1000
"""Far above what a scenario has; the framework's own default is one round a turn."""


def make(model: Any, tools: Any, *, buffer: int | None = None, max_rounds: int = MAX_ROUNDS) -> Loop:
    """Return an agent that sends its last *buffer* messages, or all of them."""
    context = UnboundedChatCompletionContext() if buffer is None else BufferedChatCompletionContext(buffer)
    return Loop(model, tools, context, max_rounds)


class Loop:
    """One conversation with an agent, which keeps its messages in a model context."""

    def __init__(self, model: Any, tools: Any, context: Any, max_rounds: int) -> None:
        self._context = context
        self._agent: Any = None
        self._systems: list[str] = []
        self._options = {
            "model_client": _Client(model),
            "tools": [_Tool(tool) for tool in tools.values()],
            "model_context": context,
            "max_tool_iterations": max_rounds,
        }

    def add_system(self, text: str) -> None:
        self._systems.append(text)

    async def send(self, text: str) -> str:
        if self._agent is None:  # an agent is told its system message when it is made
            systems, self._systems = self._systems, []
            prompt = chat.BETWEEN.join(systems) or None
            self._agent = AssistantAgent("looprig", system_message=prompt, **self._options)
        while self._systems:
            await self._context.add_message(SystemMessage(content=self._systems.pop(0)))
        result = await self._agent.run(task=text)
        return str(result.messages[-1].content)


def chats(messages: Iterable[Any]) -> list[chat.Chat]:
    """Return the framework's messages; the results of a round come in one of them."""
    return [entry for message in messages for entry in _chats(message)]


def _chats(message: Any) -> list[chat.Chat]:
    if isinstance(message, SystemMessage):
        return chat.systems(message.content)
    if isinstance(message, FunctionExecutionResultMessage):
        return [chat.result(result.call_id, result.content) for result in message.content]
    if not isinstance(message, AssistantMessage):
        return [chat.said("user", message.content)]
    if isinstance(message.content, str):
        return [chat.said("assistant", message.content)]
    calls = [chat.Call(call.id, call.name, call.arguments) for call in message.content]
    return [chat.asked(message.thought or "", calls)]


class _Client(ChatCompletionClient):
    """Looprig's model as a model client."""

    def __init__(self, model: Any) -> None:
        self._asked = model

    @property
    def model_info(self) -> Any:
        no = dict.fromkeys(("vision", "json_output", "structured_output"), False)
        return {**no, "family": "unknown", "function_calling": True, "multiple_system_messages": True}

    async def create(self, messages: Any, **_: Any) -> CreateResult:
        reply = await self._asked.acomplete(chats(messages))
        calls = [FunctionCall(call.id, call.arguments, call.name) for call in chat.calls_of(reply)]
        thought = {"thought": reply["content"] or None} if calls else {}
        return CreateResult(
            finish_reason="function_calls" if calls else "stop",
            content=calls or reply["content"],
            usage=RequestUsage(0, 0),
            cached=False,
            **thought,
        )

    def _unused(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("an agent that does not stream calls create alone")

    create_stream = close = actual_usage = total_usage = count_tokens = remaining_tokens = capabilities = _unused


class _Tool(BaseTool[Any, str]):
    def __init__(self, tool: Any) -> None:
        arguments: Any = dict.fromkeys(tool.parameters["properties"], (str, ...))
        super().__init__(create_model(tool.name, **arguments), str, tool.name, tool.description)
        self._tool = tool

    async def run(self, args: BaseModel, cancellation_token: CancellationToken) -> str:
        return await chat.run(self._tool, args.model_dump())
