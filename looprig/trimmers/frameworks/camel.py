"""CAMEL: the chat history memory with a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from camel.memories import ChatHistoryMemory, MemoryRecord
from camel.memories.context_creators import ScoreBasedContextCreator
from camel.messages import BaseMessage, FunctionCallingMessage
from camel.types import OpenAIBackendRole, RoleType

from looprig.messages import Message, message_from_dict
from looprig.trimmers.contract import NotRepresentable, Subject, Trimmer, contract_in
from looprig.trimmers.frameworks._shape import Kept, inputs

PACKAGES = ("camel-ai",)

_ROLES = {
    "system": (RoleType.SYSTEM, OpenAIBackendRole.SYSTEM),
    "user": (RoleType.USER, OpenAIBackendRole.USER),
    "assistant": (RoleType.ASSISTANT, OpenAIBackendRole.ASSISTANT),
    "tool": (RoleType.ASSISTANT, OpenAIBackendRole.FUNCTION),
}


class Codec:
    """Records of a memory; they are looked at as the chat-completions dicts that they become."""

    def load(self, messages: Sequence[Message]) -> list[Any]:
        return [_record(message, at) for at, message in enumerate(messages)]

    def extend(self, native: Sequence[Any], messages: Sequence[Message]) -> list[Any]:
        """Return *native* with *messages* added; records are in order of their times."""
        return [*native, *(_record(message, len(native) + at) for at, message in enumerate(messages))]

    def dump(self, native: Sequence[Any]) -> list[Message]:
        return [message_from_dict({**entry.to_openai_message(), "name": None}) for entry in native]


def _record(message: Message, at: int) -> MemoryRecord:
    if len(message.tool_calls) > 1 or (message.tool_calls and message.content):
        raise NotRepresentable("CAMEL keeps one call a message, and no text beside it")
    kind, role = _ROLES[message.role]
    options: dict[str, Any] = {
        "role_name": message.role,
        "role_type": kind,
        "meta_dict": None,
        "content": message.content,
    }
    native: Any
    if message.tool_calls:
        call = message.tool_calls[0]
        native = FunctionCallingMessage(**options, func_name=call.name, args=inputs(call), tool_call_id=call.id)
    elif message.role == "tool":
        result = {**options, "content": ""}
        native = FunctionCallingMessage(
            **result, func_name="tool", result=message.content, tool_call_id=message.tool_call_id
        )
    else:
        native = BaseMessage(**options)
    return MemoryRecord(message=native, role_at_backend=role, timestamp=float(at))


class Counter:
    """Counts nothing: the window is the limit here."""

    def count_tokens_from_messages(self, messages: Sequence[Any]) -> int:
        return 0


def windowed(limit: int) -> Trimmer:
    """Write a history into a memory with a window of *limit* records, and ask for the context."""

    def filled(history: Sequence[MemoryRecord]) -> ChatHistoryMemory:
        counter: Any = Counter()
        memory = ChatHistoryMemory(ScoreBasedContextCreator(counter, 1_000_000), window_size=limit)
        memory.write_records(list(history))
        return memory

    kept = Kept(filled)
    return lambda history: _records(kept.of(history).get_context()[0], history)


def _records(context: Sequence[Any], history: Sequence[MemoryRecord]) -> list[MemoryRecord]:
    """Return the records that a *context* was made of, found from the end."""
    found, left = [], list(history)
    for entry in reversed(context):
        while left and left[-1].to_openai_message() != entry:
            left.pop()
        found.append(left.pop() if left else entry)
    return found[::-1]


SUBJECTS = (
    Subject(
        name="ChatHistoryMemory(window_size)",
        make=windowed,
        contract=contract_in("messages", mode="view"),
        codec=Codec(),
        packages=PACKAGES,
        slow=True,
    ),
)
