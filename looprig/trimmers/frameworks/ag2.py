"""AG2: two policies of its context, and the compaction that keeps the tail; all work on events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ag2.compact import TailWindowCompact
from ag2.events import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolCallEvent,
    ToolCallsEvent,
    ToolResultEvent,
    ToolResultsEvent,
)
from ag2.events.tool_events import ToolResult
from ag2.policies import SlidingWindowPolicy, TokenBudgetPolicy

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import Measure, NotRepresentable, Subject, Trimmer, Unit, contract_in
from looprig.trimmers.frameworks._shape import Calls, FrameworkCodec, batched_messages, name_of

PACKAGES = ("ag2",)


def to_native(message: Message, _calls: Calls) -> Any:
    """Return a message as an event; AG2 keeps system messages apart."""
    if message.role == "system":
        raise NotRepresentable("AG2 keeps prompts apart from the events")
    if message.role == "user":
        return ModelRequest([TextInput(message.content)])
    calls = [ToolCallEvent(call.name, id=call.id, arguments=call.arguments) for call in message.tool_calls]
    return ModelResponse(ModelMessage(message.content), tool_calls=ToolCallsEvent(calls))


def results(messages: Sequence[Message], calls: Calls) -> Any:
    """Return the results of a batch as the one event that they are."""
    return ToolResultsEvent(
        [
            ToolResultEvent(
                parent_id=one.tool_call_id or "", name=name_of(one, calls), result=ToolResult(TextInput(one.content))
            )
            for one in messages
        ]
    )


def to_messages(native: Any) -> Sequence[Message]:
    """Return an event as our messages."""
    if isinstance(native, ToolResultsEvent):
        return tuple(
            Message("tool", "".join(part.content for part in one.result.parts), tool_call_id=one.parent_id)
            for one in native.results
        )
    if isinstance(native, ModelResponse):
        calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in native.tool_calls.calls)
        return (Message("assistant", native.message.content if native.message else "", calls),)
    return (Message("user", "".join(part.content for part in native.parts)),)


CODEC = FrameworkCodec(to_native, to_messages, results)


def by_policy(policy: Callable[[int], Any]) -> Callable[[int], Trimmer]:
    """Return a factory of trimmers that apply a *policy* to events."""

    def make(limit: int) -> Trimmer:
        async def trim(history: list[Any]) -> list[Any]:
            _, kept = await policy(limit).apply([], history, None)
            return list(kept)

        return trim

    return make


def tail(limit: int) -> Trimmer:
    """Compact to the last *limit* events."""

    async def trim(history: list[Any]) -> list[Any]:
        return list(await TailWindowCompact(limit).compact(history, None, None))  # type: ignore[arg-type, unused-ignore]

    return trim


def _subject(name: str, make: Callable[[int], Trimmer], unit: Unit | Measure) -> Subject:
    contract = contract_in(unit, system_apart=True)
    return Subject(name=name, make=make, contract=contract, codec=CODEC, packages=PACKAGES)


SUBJECTS = (
    _subject("SlidingWindowPolicy", by_policy(SlidingWindowPolicy), batched_messages),
    _subject("TokenBudgetPolicy", by_policy(TokenBudgetPolicy), "tokens"),
    _subject("TailWindowCompact", tail, batched_messages),
)
