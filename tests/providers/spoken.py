"""Conversations for the properties of providers, in looprig's words: what any of them has to take."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from looprig.messages import Message, ToolCall

WORDS = st.sampled_from(["hi", "what is it", "so", "größer", "a\nb"])


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Draw a conversation that ends where the model is asked: after a user's text, or after a round's results."""
    said: list[Message] = []
    turns = draw(st.integers(1, 4))
    for turn in range(turns):
        said.append(Message("user", draw(WORDS)))
        for round_ in range(draw(st.integers(0, 3))):
            calls = [ToolCall(f"call_{turn}_{round_}_{n}", "read", '{"n": 1}') for n in range(draw(st.integers(1, 3)))]
            said.append(Message("assistant", draw(st.just("") | WORDS), tuple(calls)))
            order = draw(st.permutations(calls))
            said += [Message("tool", draw(st.just("") | WORDS), (), call.id) for call in order]
        if turn < turns - 1:
            said.append(Message("assistant", draw(WORDS)))
    return said


def without_result(messages: Sequence[Message], number: int) -> list[Message]:
    """Return the conversation without its result number *number*."""
    results = [message for message in messages if message.role == "tool"]
    return [message for message in messages if message is not results[number]]


def without_call(messages: Sequence[Message], number: int) -> list[Message]:
    """Return the conversation without its call number *number*, and without its message where nothing is left of it."""
    calls = [call.id for message in messages for call in message.tool_calls]
    kept: list[Message] = []
    for message in messages:
        left = tuple(call for call in message.tool_calls if call.id != calls[number])
        if left or message.content or not message.tool_calls:
            kept.append(Message(message.role, message.content, left, message.tool_call_id))
    return kept


def calls_in(messages: Sequence[Message]) -> int:
    """Count the calls of a conversation."""
    return sum(len(message.tool_calls) for message in messages)
