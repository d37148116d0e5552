"""Conversations and answers in looprig's words, for the properties of providers: what any of them takes and says."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

from hypothesis import strategies as st

from looprig.messages import Message, ToolCall
from looprig.providers.base import Answer, Stream, Usage

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
OBJECTS = st.dictionaries(TEXTS, st.none() | st.integers(-9, 9) | TEXTS, max_size=2)
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


@st.composite
def answers(draw: st.DrawFn, model: str) -> Answer:
    """Draw an answer of *model*, its texts cut into pieces anywhere."""
    pieces = tuple(draw(st.lists(TEXTS.filter(bool), max_size=4)))
    arguments = [json.dumps(draw(OBJECTS)) for _ in range(draw(st.integers(0, 3)))]
    cuts = [sorted(draw(st.sets(st.integers(1, len(text) - 1), max_size=3))) for text in arguments]
    calls = tuple(ToolCall(f"call_{number}", "read", text) for number, text in enumerate(arguments))
    cached = draw(st.integers(0, 9))
    return Answer(
        id=draw(st.sampled_from(["1", "a7", "x9y"])),
        created=1,
        model=model,
        message=Message("assistant", "".join(pieces), calls),
        pieces=(pieces, *(_cut(text, cut) for text, cut in zip(arguments, cuts, strict=True))),
        stop=draw(st.sampled_from(["stop", "tool_calls", "length"])),
        usage=Usage(prompt=cached + draw(st.integers(1, 9)), cached=cached, completion=draw(st.integers(1, 99))),
    )


def _cut(text: str, at: list[int]) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in itertools.pairwise([0, *at, len(text)]))


def whole(stream: Stream) -> bytes:
    """Return all bytes of a stream."""
    return stream.head + b"".join(stream.deltas) + stream.tail
