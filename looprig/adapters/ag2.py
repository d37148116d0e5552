"""AG2: `ag2.Agent`, whose stream keeps the events of the conversation.

The framework goes through threads on the way to a tool: the calls of one reply start in no fixed order, so that two
recordings of a seed can differ in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ag2 import Agent, MemoryStream, tool
from ag2.config import LLMClient, ModelConfig, ModelProvider
from ag2.events import ModelMessage, ModelRequest, ModelResponse, ToolCallEvent, ToolCallsEvent, ToolResultsEvent
from ag2.events.input_events import TextInput
from ag2.policies import SlidingWindowPolicy

from looprig.adapters import chat

FRAMEWORK = "ag2"
PACKAGES = ("ag2",)
EXTRA = "ag2"


def make(model: Any, tools: Any, *, window: int | None = None) -> Loop:
    """Return an agent that sends its last *window* events, or all of them; the results of a round are one event."""
    policies = [] if window is None else [SlidingWindowPolicy(window)]
    return Loop(model, tools, policies)


class Loop:
    """One conversation with an agent."""

    def __init__(self, model: Any, tools: Any, policies: list[Any]) -> None:
        self._agent = Agent(
            "looprig", config=_Config(model), tools=[_tool(given) for given in tools.values()], assembly=policies
        )
        self._stream = MemoryStream()
        self._systems: list[str] = []

    def add_system(self, text: str) -> None:
        self._systems.append(text)

    async def send(self, text: str) -> str:
        reply = await self._agent.ask(text, stream=self._stream, prompt=self._systems)
        return str(reply.body)


def chats(prompt: Iterable[str], events: Iterable[Any]) -> list[chat.Chat]:
    """Return what the framework's clients send: the prompt, and those events that are messages."""
    systems = [chat.said("system", text) for text in prompt]
    return [*systems, *(entry for event in events for entry in _chats(event))]


def _chats(event: Any) -> list[chat.Chat]:
    if isinstance(event, ModelRequest):
        return [chat.said("user", _text(event.parts))]
    if isinstance(event, ToolResultsEvent):
        return [chat.result(result.parent_id, _text(result.result.parts)) for result in event.results]
    if isinstance(event, ModelResponse):
        calls = [chat.Call(call.id, call.name, call.arguments) for call in event.tool_calls.calls]
        return [chat.asked(event.message.content if event.message else "", calls)]
    return []


def _text(parts: Iterable[Any]) -> str:
    return "".join(part.content if isinstance(part, TextInput) else chat.shown(part.data) for part in parts)


class _Config(ModelConfig):
    """Looprig's model as a model that an agent is configured with."""

    provider = ModelProvider.OPENAI
    model = "looprig"

    def __init__(self, asked: Any) -> None:
        self._asked = asked

    def copy(self) -> _Config:
        return self

    def create(self) -> LLMClient:
        return _Client(self._asked)


class _Client(LLMClient):
    def __init__(self, asked: Any) -> None:
        self._asked = asked

    async def __call__(self, messages: Any, context: Any, **_: Any) -> ModelResponse:
        reply = await self._asked.acomplete(chats(context.prompt, messages))
        calls = [ToolCallEvent(call.name, id=call.id, arguments=call.arguments) for call in chat.calls_of(reply)]
        message = ModelMessage(reply["content"]) if reply["content"] or not calls else None
        if message is not None:
            await context.send(message)  # as the framework's own clients do
        return ModelResponse(message, tool_calls=ToolCallsEvent(calls))


def _tool(given: Any) -> Any:
    async def run(**arguments: Any) -> str:
        # The framework hands its own context to whatever takes any keyword.
        return await chat.run(given, {name: arguments[name] for name in given.parameters["properties"]})

    return tool(run, name=given.name, description=given.description, schema=dict(given.parameters))
