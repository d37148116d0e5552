"""Microsoft Agent Framework: two compaction strategies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agent_framework import Content, SlidingWindowStrategy, TruncationStrategy, apply_compaction
from agent_framework import Message as Native

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import Subject, Trimmer, Unit, contract_in
from looprig.trimmers.frameworks._shape import Calls, FrameworkCodec

PACKAGES = ("agent-framework-core",)


def to_native(message: Message, _calls: Calls) -> Native:
    """Return a message as the framework's."""
    if message.role == "tool":
        result = Content.from_function_result(call_id=message.tool_call_id or "", result=message.content)
        return Native("tool", [result])
    text = [Content.from_text(message.content)] if message.content or not message.tool_calls else []
    calls = [Content.from_function_call(call.id, call.name, arguments=call.arguments) for call in message.tool_calls]
    return Native(message.role, [*text, *calls])


def to_messages(native: Native) -> Sequence[Message]:
    """Return one of the framework's messages as ours."""
    calls, text, answers = [], "", None
    for part in native.contents:
        if part.type == "function_call":
            calls.append(ToolCall(part.call_id or "", part.name or "", str(part.arguments)))
        elif part.type == "function_result":
            text, answers = str(part.result), part.call_id
        else:
            text += part.text or ""
    return (Message(str(native.role), text, tuple(calls), answers),)  # type: ignore[arg-type, unused-ignore]


CODEC = FrameworkCodec(to_native, to_messages)


def compacted(strategy: Callable[[int], Any]) -> Callable[[int], Trimmer]:
    """Return a factory of trimmers that apply a *strategy*."""

    def make(limit: int) -> Trimmer:
        async def trim(history: list[Native]) -> list[Native]:
            return list(await apply_compaction(history, strategy=strategy(limit)))

        return trim

    return make


def _truncation(limit: int) -> Any:
    return TruncationStrategy(max_n=limit, compact_to=limit)


def _window(limit: int) -> Any:
    return SlidingWindowStrategy(keep_last_groups=limit)


_ROWS: tuple[tuple[str, Callable[[int], Any], Unit], ...] = (
    ("TruncationStrategy", _truncation, "messages"),
    ("SlidingWindowStrategy", _window, "groups"),
)

SUBJECTS = tuple(
    Subject(name=name, make=compacted(strategy), contract=contract_in(unit), codec=CODEC, packages=PACKAGES)
    for name, strategy, unit in _ROWS
)
