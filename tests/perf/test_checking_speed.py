"""What it costs to check requests to OpenAI's APIs, under pytest-benchmark; nothing fails for being slow."""

from __future__ import annotations

from typing import Any

import pytest

from looprig.messages import Message
from looprig.providers import PROVIDERS
from looprig.providers.base import Answer, Seen
from tests.perf.checking import APIS, PIECES, measure

NAMES = ["openai-chat", "openai-responses"]


@pytest.mark.parametrize("name", NAMES)
def test_first_time(benchmark: Any, name: str):
    """
    A request of 400 messages that nobody has seen: decoded, checked and read.
    """
    api = APIS[name]
    raw = api.body(api.whole)

    assert benchmark.pedantic(lambda: PROVIDERS[name].receive(raw, Seen()), rounds=20).messages


@pytest.mark.parametrize("name", NAMES)
def test_judged_in_process(benchmark: Any, name: str):
    """
    The same messages, judged in the process.
    """
    api = APIS[name]
    messages = PROVIDERS[name].receive(api.body(api.whole), Seen()).messages

    assert benchmark.pedantic(lambda: PROVIDERS[name].judge(messages, 0, Seen()), rounds=20) is None


@pytest.mark.parametrize("name", NAMES)
def test_only_what_is_new(name: str):
    """
    Of a request that grew only what is new is read again: all other messages are the same objects.
    """
    api, seen = APIS[name], Seen()
    before = PROVIDERS[name].receive(api.body(200), seen).messages
    after = PROVIDERS[name].receive(api.body(400), seen).messages

    assert len(before) < len(after)
    assert all(old is new for old, new in zip(before, after, strict=False))


@pytest.mark.parametrize("name", NAMES)
def test_stream(benchmark: Any, name: str):
    """
    The events of an answer of 64 pieces.
    """
    received = PROVIDERS[name].receive(APIS[name].body(1), Seen())
    text = Message("assistant", "".join(PIECES))
    said = Answer(id="1", created=1, model="gpt-4o", message=text, pieces=(PIECES,))

    assert 64 == len(benchmark.pedantic(lambda: PROVIDERS[name].stream(said, received), rounds=20).deltas)


def test_report():
    """
    The report has every provider's three targets.
    """
    part = measure(tries=2)

    assert 12 == len(part.targets)
    assert all(name in part.tables[0] for name in PROVIDERS)
