"""Haystack: the sliding window compactor, with and without the note that it leaves."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from haystack.dataclasses import ChatMessage
from haystack.dataclasses import ToolCall as NativeCall
from haystack.hooks.compaction import SlidingWindowCompactor

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import Subject, Trimmer, contract_in
from looprig.trimmers.frameworks._shape import UNKNOWN, Calls, FrameworkCodec, inputs, spelled

PACKAGES = ("haystack-ai",)

NOTE = "earlier messages were removed from this conversation"


def to_native(message: Message, calls: Calls) -> ChatMessage:
    """Return a message as Haystack's; a result holds the call that it answers."""
    match message.role:
        case "system":
            return ChatMessage.from_system(message.content)
        case "user":
            return ChatMessage.from_user(message.content)
        case "tool":
            call = calls.get(message.tool_call_id or "")
            origin = _call(call) if call else NativeCall(UNKNOWN, {}, message.tool_call_id)
            return ChatMessage.from_tool(message.content, origin=origin)
        case _:
            text = message.content if message.content or not message.tool_calls else None
            return ChatMessage.from_assistant(text, tool_calls=[_call(call) for call in message.tool_calls])


def _call(call: ToolCall) -> NativeCall:
    return NativeCall(call.name, inputs(call), call.id)


def to_messages(native: ChatMessage) -> Sequence[Message]:
    """Return one of Haystack's messages as ours."""
    result = native.tool_call_result
    if result is not None:
        return (Message("tool", str(result.result), tool_call_id=result.origin.id),)
    calls = tuple(ToolCall(call.id or "", call.tool_name, spelled(call.arguments)) for call in native.tool_calls)
    return (Message(native.role.value, native.text or "", calls),)


CODEC = FrameworkCodec(to_native, to_messages)


class Counter:
    """The plain count, in the form that Haystack asks for."""

    def count(self, messages: Sequence[ChatMessage], tools: Any = None) -> int:
        return sum(map(_tokens, messages))


def _tokens(message: ChatMessage) -> int:
    result = message.tool_call_result
    if result is not None:
        return len(str(result.result)) // 4
    calls = sum(len(call.tool_name) + len(spelled(call.arguments)) for call in message.tool_calls)
    return (len(message.text or "") + calls) // 4


def compacted(**options: Any) -> Callable[[int], Trimmer]:
    """Return a factory of trimmers that compact with *options*."""

    def make(limit: int) -> Trimmer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is experimental, and says so each time
            compactor = SlidingWindowCompactor(**options)
        counter: Any = Counter()
        return lambda history: compactor.compact(history, limit, counter)

    return make


def is_note(message: Message) -> bool:
    """Say whether *message* is the compactor's note."""
    return message.role == "user" and NOTE in message.content


SUBJECTS = (
    Subject(
        name="SlidingWindowCompactor",
        make=compacted(omission_note=None),
        contract=contract_in("tokens"),
        codec=CODEC,
        packages=PACKAGES,
    ),
    Subject(
        name="SlidingWindowCompactor (note)",
        make=compacted(),
        contract=contract_in("tokens", notes=is_note),
        codec=CODEC,
        packages=PACKAGES,
    ),
)
