"""Rate limits, token usage and the prompt cache."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message
from looprig.server.limits import Bucket
from looprig.server.usage import Prompt
from looprig.tokens import estimate, message_tokens
from tests.server.clients import chat, post, said, served, talk, user


@given(st.integers(1, 1000), st.lists(st.tuples(st.floats(0, 90), st.integers(1, 1200)), max_size=30))
def test_bucket(limit: int, asked: list[tuple[float, int]]):
    """
    Over any time no more is taken than the bucket held and got back; and after the wait that it told, it is there.
    """
    bucket, now, taken = Bucket(limit, 0.0), 0.0, 0.0
    for pause, amount in asked:
        now += pause
        wait = bucket.take(amount, now)
        taken += 0 if wait else min(amount, limit)
        assert taken <= limit + now * limit / 60 + 1e-6
        if wait:
            now += wait
            assert not bucket.take(amount, now + 1e-6)
            taken += min(amount, limit)


TEXTS = st.sampled_from(["a" * 40, "b" * 4000, "c", "ä" * 900])


@given(st.lists(st.lists(TEXTS, max_size=6), max_size=6), st.sampled_from([0, 1024]))
def test_prompt(requests: list[list[str]], cached_from: int):
    """
    The tokens are those of all messages, the cached ones those of the leading messages that the request before had
    too, if they are enough: whatever was kept, cut or added.
    """
    prompt, before = Prompt(), list[Message]()
    for texts in requests:
        messages = [Message(role="user", content=text) for text in texts]
        same = 0
        while same < min(len(before), len(messages)) and before[same] == messages[same]:
            same += 1
        cached = sum(message_tokens(message, estimate) for message in messages[:same])
        total = sum(message_tokens(message, estimate) for message in messages)

        assert (total, cached if cached >= cached_from else 0) == prompt.count(list(messages), estimate, cached_from)
        before = messages


def usage(ready: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ready.body)["usage"]
    return found


def test_cached_prompt():
    """
    What a session sent before is cached from 1,024 tokens on, and never for another session.
    """
    app = served(talk(4, {}))
    history = [user("[#s0t0] " + "long " * 1000)]
    first = chat(app, history)
    history += [said(first), user("[#s0t1] more")]
    second = chat(app, history)
    other = chat(app, [user("[#s1t0] " + "long " * 1000)])

    cached = [usage(each)["prompt_tokens_details"]["cached_tokens"] for each in (first, second, other)]
    assert [0, usage(first)["prompt_tokens"], 0] == cached
    assert usage(second)["prompt_tokens"] > usage(first)["prompt_tokens"]


def test_answer_that_is_too_long():
    """
    Where the client wants fewer tokens than the answer has, it gets the beginning, and the reason.
    """
    ready = chat(served(talk(1, {})), [user("[#s0t0] hi")], max_tokens=3)

    choice = json.loads(ready.body)["choices"][0]
    assert ("length", "[#s0t0] answ", 3) == (
        choice["finish_reason"],
        choice["message"]["content"],
        usage(ready)["completion_tokens"],
    )


def test_window():
    """
    A prompt beyond the window is refused as the provider refuses it, and is a finding.
    """
    app = served(window=50)

    ready = chat(app, [user("[#s0t0] " + "long " * 100)], tools=False)

    assert (400, "context_length_exceeded") == (ready.status, json.loads(ready.body)["error"]["code"])
    assert {"C18": 1} == app.seen()["refused"]


def test_requests_per_minute():
    """
    The limit counts for each key by itself; beyond it there is a 429 with the wait, and that is no finding.
    """
    app = served(talk(9, {}), requests_per_minute=2)
    asked = [chat(app, [user(f"[#s0t{turn}] hi")], tools=False, authorization="Bearer a") for turn in range(3)]
    other = chat(app, [user("[#s1t0] hi")], tools=False, authorization="Bearer b")

    heads = [each.head.decode() for each in asked]
    assert [200, 200, 429, 200] == [each.status for each in (*asked, other)]
    assert "x-ratelimit-limit-requests: 2\r\n" in heads[0]
    assert "x-ratelimit-remaining-requests: 1\r\n" in heads[0]
    assert "retry-after-ms: " in heads[2]
    assert "requests per min (RPM): Limit 2, Used 2" in json.loads(asked[2].body)["error"]["message"]
    assert app.seen()["passed"]
    assert {"rate_limit": 1} == app.seen()["faults"]


def test_tokens_per_minute():
    """
    Tokens are limited likewise, by those of the prompt.
    """
    app = served(talk(9, {}), tokens_per_minute=100)

    asked = [chat(app, [user(f"[#s0t{turn}] " + "word " * 40)], tools=False) for turn in range(3)]

    assert [200, 429, 429] == [each.status for each in asked]
    assert "tokens per min (TPM): Limit 100" in json.loads(asked[2].body)["error"]["message"]


@pytest.mark.parametrize("count", [1, 5])
def test_limits_at_anthropic(count: int):
    """
    Another provider tells its limits in headers of its own.
    """
    app = served(talk(9, {}), requests_per_minute=count)
    body = {"model": "claude-sonnet-5", "max_tokens": 99, "messages": [user("[#s0t0] hi")]}

    head = post(app, "/v1/messages", body).head.decode()

    assert f"anthropic-ratelimit-requests-limit: {count}\r\n" in head
