"""AutoGen: the model contexts of autogen-core, views over a growing list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autogen_core import FunctionCall
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
)
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    SystemMessage,
    UserMessage,
)

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import Measure, NotRepresentable, Subject, Trimmer, Unit, contract_in
from looprig.trimmers.frameworks._shape import Calls, FrameworkCodec, Kept, batched_messages, name_of

PACKAGES = ("autogen-core",)

SKIPPED = "Skipped "
"""How the message begins that HeadAndTailChatCompletionContext puts between head and tail."""


def to_native(message: Message, _calls: Calls) -> Any:
    """Return a message as AutoGen's; the text beside calls has no place there."""
    if message.role == "system":
        return SystemMessage(content=message.content)
    if message.role == "user":
        return UserMessage(content=message.content, source="user")
    if message.tool_calls and message.content:
        raise NotRepresentable("AutoGen keeps either text or calls")
    calls = [FunctionCall(id=call.id, name=call.name, arguments=call.arguments) for call in message.tool_calls]
    return AssistantMessage(content=calls or message.content, source="assistant")


def results(messages: Sequence[Message], calls: Calls) -> Any:
    """Return the results of a batch as the one message that they are."""
    return FunctionExecutionResultMessage(
        content=[
            FunctionExecutionResult(content=one.content, name=name_of(one, calls), call_id=one.tool_call_id or "")
            for one in messages
        ]
    )


def to_messages(native: Any) -> Sequence[Message]:
    """Return one of AutoGen's messages as ours."""
    if isinstance(native, FunctionExecutionResultMessage):
        return tuple(Message("tool", one.content, tool_call_id=one.call_id) for one in native.content)
    if isinstance(native, AssistantMessage):
        if isinstance(native.content, str):
            return (Message("assistant", native.content),)
        return (Message("assistant", "", tuple(ToolCall(c.id, c.name, c.arguments) for c in native.content)),)
    return (Message("system" if isinstance(native, SystemMessage) else "user", native.content),)


CODEC = FrameworkCodec(to_native, to_messages, results)


class Counting:
    """The one thing of a model client that the token limit needs."""

    def count_tokens(self, messages: Sequence[Any], *, tools: Sequence[Any] = ()) -> int:
        return sum(map(_tokens, messages))


def _tokens(message: Any) -> int:
    if isinstance(message, FunctionExecutionResultMessage):
        return sum(len(one.content) // 4 for one in message.content)
    if isinstance(message.content, str):
        return len(message.content) // 4
    return sum(len(call.name) + len(call.arguments) for call in message.content) // 4


def viewed(context: Callable[[int, list[Any]], Any]) -> Callable[[int], Trimmer]:
    """Return a factory of trimmers that put a history into a *context* and look at what it shows."""

    def make(limit: int) -> Trimmer:
        kept = Kept(lambda history: context(limit, list(history)))

        async def trim(history: list[Any]) -> list[Any]:
            return list(await kept.of(history).get_messages())

        return trim

    return make


def _buffered(limit: int, history: list[Any]) -> Any:
    return BufferedChatCompletionContext(buffer_size=limit, initial_messages=history)


def _head_and_tail(limit: int, history: list[Any]) -> Any:
    return HeadAndTailChatCompletionContext(head_size=1, tail_size=max(1, limit - 1), initial_messages=history)


def _token_limited(limit: int, history: list[Any]) -> Any:
    return TokenLimitedChatCompletionContext(Counting(), token_limit=limit, initial_messages=history)


def _subject(name: str, context: Callable[[int, list[Any]], Any], unit: Unit | Measure, **promises: Any) -> Subject:
    return Subject(
        name=name,
        make=viewed(context),
        contract=contract_in(unit, mode="view", **promises),
        codec=CODEC,
        packages=PACKAGES,
    )


SUBJECTS = (
    _subject("BufferedChatCompletionContext", _buffered, batched_messages),
    _subject("HeadAndTailChatCompletionContext", _head_and_tail, batched_messages, notes=(SKIPPED,)),
    _subject("TokenLimitedChatCompletionContext", _token_limited, "tokens"),
)
