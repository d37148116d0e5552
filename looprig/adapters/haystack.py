"""Haystack: `haystack.components.agents.Agent`; its users hand the messages of each run to the next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from haystack import component
from haystack.components.agents import Agent
from haystack.dataclasses import ChatMessage, ToolCall
from haystack.tools import Tool

from looprig.adapters import chat

FRAMEWORK = "haystack"
PACKAGES = ("haystack-ai",)
EXTRA = "haystack"

MAX_ROUNDS = 1000
"""Far above what a scenario has; the framework's own limit is 100 steps a run."""


def make(model: Any, tools: Any, *, max_rounds: int = MAX_ROUNDS) -> Loop:
    """Return an agent; it has no trim of its own."""
    return Loop(model, tools, max_rounds)


class Loop:
    """One conversation: the messages, and an agent that is given them."""

    def __init__(self, model: Any, tools: Any, max_rounds: int) -> None:
        self._agent: Any = Agent(
            chat_generator=_Generator(model),
            tools=[_tool(tool) for tool in tools.values()],
            max_agent_steps=max_rounds,
        )
        self._messages: list[ChatMessage] = []

    @property
    def history(self) -> list[chat.Chat]:
        return chats(self._messages)

    def add_system(self, text: str) -> None:
        self._messages.append(ChatMessage.from_system(text))

    async def send(self, text: str) -> str:
        result = await self._agent.run_async([*self._messages, ChatMessage.from_user(text)])
        self._messages = result["messages"]
        return str(result["last_message"].text)


def chats(messages: Iterable[Any]) -> list[chat.Chat]:
    """Return the framework's messages."""
    return [entry for message in messages for entry in _chats(message)]


def _chats(message: Any) -> list[chat.Chat]:
    if message.tool_call_results:
        return [chat.result(result.origin.id, chat.shown(result.result)) for result in message.tool_call_results]
    calls = [chat.Call(call.id, call.tool_name, chat.written(call.arguments)) for call in message.tool_calls]
    text = "".join(message.texts)
    return [chat.asked(text, calls) if calls else chat.said(message.role.value, text)]


@component
class _Generator:
    """Looprig's model as a chat generator."""

    def __init__(self, model: Any) -> None:
        self._asked = model

    @component.output_types(replies=list[ChatMessage])
    def run(self, messages: list[ChatMessage], tools: Any = None) -> dict[str, Any]:
        return _replies(self._asked.complete(chats(messages)))

    @component.output_types(replies=list[ChatMessage])
    async def run_async(self, messages: list[ChatMessage], tools: Any = None) -> dict[str, Any]:
        return _replies(await self._asked.acomplete(chats(messages)))


def _replies(reply: chat.Chat) -> dict[str, Any]:
    calls = [ToolCall(call.name, call.parsed(), call.id) for call in chat.calls_of(reply)]
    return {"replies": [ChatMessage.from_assistant(reply["content"] or None, tool_calls=calls)]}


def _tool(tool: Any) -> Tool:
    async def run(**arguments: Any) -> str:
        return await chat.run(tool, arguments)

    return Tool(tool.name, tool.description, dict(tool.parameters), function=None, async_function=run)
