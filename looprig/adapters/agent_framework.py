"""Microsoft Agent Framework: `agent_framework.Agent` with a session and its compaction strategies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatResponse,
    CompactionProvider,
    Content,
    FunctionInvocationLayer,
    FunctionTool,
    InMemoryHistoryProvider,
    Message,
    SlidingWindowStrategy,
)

from looprig.adapters import chat

FRAMEWORK = "agent-framework"
PACKAGES = ("agent-framework-core",)
EXTRA = "agent-framework"

MAX_ROUNDS = 1000
"""Far above what a scenario has; the framework's own limit is 40 rounds a turn."""


def make(
    model: Any, tools: Any, *, keep_groups: int | None = None, in_turn: bool = False, max_rounds: int = MAX_ROUNDS
) -> Loop:
    """Return an agent that keeps its history in its session.

    ``keep_groups`` puts a `SlidingWindowStrategy` of so many groups before each turn, and with ``in_turn`` before
    each request, as ``Agent(compaction_strategy=...)`` does.
    """
    strategy = None if keep_groups is None else SlidingWindowStrategy(keep_last_groups=keep_groups)
    client = _Client(model, max_rounds)
    if strategy is None or in_turn:
        return Loop(client, tools, [InMemoryHistoryProvider()], compaction_strategy=strategy)
    return Loop(client, tools, [InMemoryHistoryProvider(), CompactionProvider(before_strategy=strategy)])


class Loop:
    """One conversation with an agent, which keeps its messages in a session."""

    def __init__(self, client: _Client, tools: Any, providers: Sequence[Any], **options: Any) -> None:
        tools = [_tool(tool) for tool in tools.values()]
        self._agent: Any = Agent(client, tools=tools, context_providers=providers, **options)
        self._session = self._agent.create_session()
        self._systems: list[str] = []

    @property
    def history(self) -> list[chat.Chat]:
        return chats(self._session.state.get(InMemoryHistoryProvider.DEFAULT_SOURCE_ID, {}).get("messages", ()))

    def add_system(self, text: str) -> None:
        self._systems.append(text)
        self._agent.default_options["instructions"] = chat.BETWEEN.join(self._systems)

    async def send(self, text: str) -> str:
        response = await self._agent.run(text, session=self._session)
        return str(response.messages[-1].text)


def chats(messages: Iterable[Any]) -> list[chat.Chat]:
    """Return the framework's messages; the results of a round are contents of one message."""
    return [entry for message in messages for entry in _chats(message)]


def _chats(message: Any) -> list[chat.Chat]:
    if message.role == "system":
        return chat.systems(message.text)
    results = [content for content in message.contents if content.type == "function_result"]
    if results:
        return [chat.result(content.call_id, content.result or "") for content in results]
    calls = [content for content in message.contents if content.type == "function_call"]
    return [chat.asked(message.text, [_call(content) for content in calls])] if calls else [_said(message)]


def _said(message: Any) -> chat.Chat:
    return chat.said(message.role, message.text)


def _call(content: Any) -> chat.Call:
    arguments = content.arguments
    return chat.Call(
        content.call_id, content.name, arguments if isinstance(arguments, str) else chat.written(arguments)
    )


class _Client(FunctionInvocationLayer[Any], BaseChatClient[Any]):
    """Looprig's model as a chat client, below the framework's own layer that runs tools."""

    def __init__(self, model: Any, max_rounds: int) -> None:
        super().__init__(function_invocation_configuration={"max_iterations": max_rounds})
        self._model = model

    async def _inner_get_response(  # type: ignore[override]  # the framework streams through the same method
        self, *, messages: Sequence[Any], stream: bool, options: Mapping[str, Any], **_: Any
    ) -> Any:
        instructions = chat.systems(options.get("instructions"))
        reply = await self._model.acomplete([*instructions, *chats(messages)])
        contents = [Content.from_text(reply["content"])] if reply["content"] else []
        contents += [
            Content.from_function_call(call.id, call.name, arguments=call.arguments) for call in chat.calls_of(reply)
        ]
        return ChatResponse(messages=Message("assistant", contents))


def _tool(tool: Any) -> FunctionTool:
    async def run(**arguments: Any) -> str:
        return await chat.run(tool, arguments)

    return FunctionTool(
        name=tool.name, description=tool.description, func=run, input_model=dict(tool.parameters), result_parser=None
    )
