"""What the rules of Anthropic and Gemini cost for a conversation of 400 messages, under pytest-benchmark.

The targets are 100 µs for the rules where a conversation is seen for the first time, and 10 µs where two messages are
new, with the comparison of memory that finds them. No test fails because the machine was slow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from looprig.messages import Message
from looprig.providers import gemini_items
from looprig.providers.anthropic import Anthropic
from looprig.providers.anthropic_items import ITEMS
from looprig.providers.anthropic_rules import Walk as AnthropicWalk
from looprig.providers.base import Answer, Seen, Stream, opened
from looprig.providers.gemini import Gemini
from looprig.providers.gemini_rules import Walk as GeminiWalk

TOOLS = [{"name": "read", "description": "Reads a thing.", "input_schema": {"type": "object"}}]


def anthropic_items(count: int) -> list[dict[str, Any]]:
    """Make turns of two rounds with a call each; the entry that comes next is an assistant's."""
    items: list[dict[str, Any]] = []
    for number in range(count):
        items.append({"role": "user", "content": f"question {number} about this and that"})
        for round_ in range(2):
            call = {"type": "tool_use", "id": f"call_{number}_{round_}", "name": "read", "input": {"ref": "a"}}
            items.append({"role": "assistant", "content": [{"type": "text", "text": "I look"}, call]})
            result = {"type": "tool_result", "tool_use_id": call["id"], "content": "what the tool has found"}
            items.append({"role": "user", "content": [result]})
        items.append({"role": "assistant", "content": [{"type": "text", "text": "the answer is such"}]})
    return items[:count]


def gemini_contents(count: int) -> list[dict[str, Any]]:
    """Make the same turns in Gemini's words."""
    contents: list[dict[str, Any]] = []
    for number in range(count):
        contents.append({"role": "user", "parts": [{"text": f"question {number} about this and that"}]})
        for round_ in range(2):
            call = {"id": f"call_{number}_{round_}", "name": "read", "args": {"ref": "a"}}
            contents.append({"role": "model", "parts": [{"text": "I look"}, {"functionCall": call}]})
            response = {"id": call["id"], "name": "read", "response": {"result": "what the tool has found"}}
            contents.append({"role": "user", "parts": [{"functionResponse": response}]})
        contents.append({"role": "model", "parts": [{"text": "the answer is such"}]})
    return contents[:count]


ANTHROPIC = {"model": "claude-sonnet-5", "max_tokens": 100, "tools": TOOLS}


def _anthropic(count: int) -> bytes:
    return msgspec.json.encode({"max_tokens": 100, "messages": anthropic_items(count), **ANTHROPIC})


def _gemini(count: int) -> bytes:
    return msgspec.json.encode({"contents": gemini_contents(count), "tools": [{"functionDeclarations": []}]})


CASES = [
    pytest.param(Anthropic(), _anthropic, "messages", None, id="anthropic"),
    pytest.param(Gemini(), _gemini, "contents", "gemini-2.5-flash", id="gemini"),
]


def test_anthropic_rules(benchmark: Any):
    """
    All rules of Anthropic's, asked of 401 decoded messages.
    """
    items = ITEMS.decode(msgspec.json.encode(anthropic_items(401)))

    def walk() -> AnthropicWalk:
        walk = AnthropicWalk()
        walk.through(items)
        return walk

    assert 400 == benchmark.pedantic(walk, rounds=30, iterations=10).turn


def test_gemini_rules(benchmark: Any):
    """
    All rules of Gemini's, asked of 401 decoded contents.
    """
    contents = gemini_items.read(msgspec.json.encode(gemini_contents(401)))

    def walk() -> GeminiWalk:
        walk = GeminiWalk()
        walk.through(contents)
        walk.end(signatures=False)
        return walk

    assert 401 == benchmark.pedantic(walk, rounds=30, iterations=10).number


@pytest.mark.parametrize(("provider", "body", "key", "model"), CASES)
def test_two_new(benchmark: Any, provider: Any, body: Callable[[int], bytes], key: str, model: str | None):
    """
    A request of 401 messages of which two are new: comparing, decoding and checking them.
    """
    seen, grown = Seen(), body(401)
    provider.receive(body(399), seen, model)

    def check() -> Any:
        request = opened(grown, key, seen)
        assert request.new is not None
        new = ITEMS.decode(request.new) if key == "messages" else gemini_items.read(request.new)
        walk = seen.state.onward()
        walk.through(new)
        return new

    assert 2 == len(benchmark.pedantic(check, rounds=30, iterations=20))


@pytest.mark.parametrize(("provider", "body", "key", "model"), CASES)
def test_whole_request(benchmark: Any, provider: Any, body: Callable[[int], bytes], key: str, model: str | None):
    """
    A request of 401 messages, seen for the first time: decoded, checked, and read into messages.
    """
    raw = body(401)

    received = benchmark.pedantic(lambda: provider.receive(raw, Seen(), model), rounds=10, iterations=2)
    assert 401 == len(received.messages)


@pytest.mark.parametrize(("provider", "body", "key", "model"), CASES)
def test_only_what_is_new(provider: Any, body: Callable[[int], bytes], key: str, model: str | None):
    """
    Of a conversation that grew only what is new is read again: all other messages are the same objects.
    """
    seen = Seen()
    before = provider.receive(body(399), seen, model).messages
    after = provider.receive(body(401), seen, model).messages

    assert (399, 401) == (len(before), len(after))
    assert all(old is new for old, new in zip(before, after, strict=False))


@pytest.mark.parametrize(("provider", "body", "key", "model"), CASES)
def test_stream(benchmark: Any, provider: Any, body: Callable[[int], bytes], key: str, model: str | None):
    """
    The events of an answer of 64 pieces.
    """
    pieces = ("word ",) * 64
    received = provider.receive(body(1), Seen(), model)
    said = Answer(id="1", created=1, model="m", message=Message("assistant", "".join(pieces)), pieces=(pieces,))

    stream: Stream = benchmark.pedantic(lambda: provider.stream(said, received), rounds=30, iterations=10)
    assert 64 == len(stream.deltas)
