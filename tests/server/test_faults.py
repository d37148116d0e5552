"""Faults: how they are written, which requests they meet, and what a client gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from looprig.scenario import Fault
from looprig.server.app import App
from looprig.server.faults import KINDS, STREAM_FAULTS, BadFault, parse_fault
from looprig.serving.ready import Ready
from tests.server.clients import broken, chat, head, post, results, said, served, talk, user

PATHS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
}


def faulty(*texts: str, **more: Any) -> App:
    return served(talk(9, {}), faults=tuple(map(parse_fault, texts)), **more)


def ask(app: App, provider: str, turn: int = 0, stream: bool = True) -> Ready:
    """Ask in the words of *provider*."""
    text = f"[#s0t{turn}] hi"
    bodies: dict[str, dict[str, Any]] = {
        "openai-chat": {"model": "gpt-4o", "messages": [user(text)], "stream": stream},
        "openai-responses": {"model": "gpt-4o", "input": [user(text)], "stream": stream},
        "anthropic": {"model": "claude-sonnet-5", "max_tokens": 99, "messages": [user(text)], "stream": stream},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": text}]}]},
    }
    return post(app, PATHS[provider], bodies[provider])


@pytest.mark.parametrize("text", ["nonsense", "cut:every=0", "cut:rate=2", "cut:often", "cut:every", "stall:retry=-1"])
def test_misspelling(text: str):
    """
    A fault that is not understood is told with how it is written.
    """
    with pytest.raises(BadFault, match=r"there are bad_request|write (cut|stall):every=10"):
        parse_fault(text)


def test_which_requests_are_met():
    """
    Every so many requests, or a share of them; a number bounds both. Another run of the same client meets the same.
    """
    every, some, two = parse_fault("cut:every=3"), parse_fault("cut:rate=0.3"), parse_fault("cut:times=2")
    places = [f"{number}/0/0/0" for number in range(2000)]

    met = [[plan.meets(7, place) for place in places] for plan in (every, some, two)]

    assert [False, False, True] * 3 == met[0][:9]
    assert 500 < sum(met[1]) < 700
    assert (2, [True, True]) == (sum(met[2]), met[2][:2])
    some.reset()
    assert met[1] == [some.meets(7, place) for place in places]


@pytest.mark.parametrize("provider", PATHS)
@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        ("rate_limit:retry=0.25", {429}),
        ("quota", {429}),
        ("server_error", {500}),
        ("overloaded", {503, 529}),
        ("bad_key", {401, 400, 403}),
        ("timeout", {504, 408}),
    ],
)
def test_errors(provider: str, fault: str, statuses: set[int]):
    """
    An error has its provider's status and envelope, and is no finding: the client's next try is answered.
    """
    app = faulty(f"{fault}{',' if ':' in fault else ':'}times=1")

    failed, retried = ask(app, provider), ask(app, provider)

    assert failed.status in statuses
    assert "error" in json.loads(failed.body)
    assert 200 == retried.status
    if "retry" in fault:
        assert "retry-after-ms: 250\n" in head(failed)
    assert {} == broken(app)


def test_told_to_retry_or_not():
    """
    What an error tells clients about retrying can be set.
    """
    told = head(ask(faulty("overloaded:should_retry=false,retry=3"), "anthropic"))

    assert "x-should-retry: false\n" in told
    assert "retry-after: 3\n" in told


@pytest.mark.parametrize("provider", PATHS)
@pytest.mark.parametrize("kind", sorted(STREAM_FAULTS))
def test_streams(provider: str, kind: str):
    """
    A broken stream begins as a whole one does, and lacks its end: which events come is that of the fault.
    """
    whole = ask(faulty(), provider).body
    ready = ask(faulty(kind), provider)
    sent = ready.body or b"".join(part for _, part in ready.parts)
    events = sent.split(b"\n\n") if b"\r\n\r\n" not in sent else sent.split(b"\r\n\r\n")

    assert 200 == ready.status
    assert sent != whole
    assert sent[:40] == whole[:40]
    assert (kind in ("drop", "stall"), kind == "stall") == (not ready.whole, ready.stalls)
    if kind in ("cut", "stall"):
        assert whole.startswith(sent)
        assert sent.endswith(b"\n")
    elif kind == "error_event":
        assert b"error" in events[-2]
    elif kind == "corrupt":
        assert 1 == sum(not _is_json(event) for event in events)
    else:
        assert whole.startswith(sent)
        assert not sent.endswith(b"\n")


def _is_json(event: bytes) -> bool:
    data = b"".join(line.removeprefix(b"data: ") for line in event.splitlines() if line.startswith(b"data: "))
    try:
        json.loads(data if data and data != b"[DONE]" else b"0")
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("kind", sorted(STREAM_FAULTS))
def test_whole_answers(kind: str):
    """
    The same faults befall an answer that is not streamed: half of it comes, or none of it can be read.
    """
    ready = ask(faulty(kind), "openai-chat", stream=False)
    sent = ready.body or b"".join(part for _, part in ready.parts)

    if kind == "error_event":
        assert 500 == ready.status
    else:
        with pytest.raises(ValueError, match=r"."):
            json.loads(sent)


@pytest.mark.parametrize("kind", ["duplicate_id", "broken_arguments"])
def test_replies(kind: str):
    """
    A reply may come with the same id for all its calls, or with arguments that are no JSON.
    """
    app = served(talk(2, {0: 1}, width=3), faults=(parse_fault(kind),))

    calls = said(chat(app, [user("[#s0t0] hi")]))["tool_calls"]

    if kind == "duplicate_id":
        assert {"call_s0t0r0c0"} == {call["id"] for call in calls}
    else:
        assert [True, True, False] == [_is_json(b"data: " + call["function"]["arguments"].encode()) for call in calls]


def test_late_id():
    """
    The first call's id may come with its arguments; a client that joins what belongs together still has all of it.
    """
    app = served(talk(2, {0: 1}), faults=(parse_fault("late_id"),))

    ready = chat(app, [user("[#s0t0] hi")], stream=True)

    events = [json.loads(line[6:]) for line in ready.body.splitlines() if line.startswith(b"data: {")]
    deltas = [call for event in events for call in event["choices"][0]["delta"].get("tool_calls", ())]
    first = [call for call in deltas if call["index"] == 0]
    assert "id" not in first[0]
    assert "read_file" == first[0]["function"]["name"]
    assert "call_s0t0r0c0" == first[1]["id"]
    assert {"path", "ref"} == json.loads("".join(call["function"]["arguments"] for call in first)).keys()


def test_faults_of_the_scenario():
    """
    What the scenario plans to go wrong goes wrong, as often as it plans; a timeout is an error, unless delays apply.
    """
    faults = (Fault(kind="rate_limit", times=2), Fault(kind="timeout", round=1, delay_s=2.0))
    scenario = talk(1, {0: 1}, faults=faults)
    history = [user("[#s0t0] hi")]

    app, slow = served(scenario), served(scenario, delays=True)
    statuses = [chat(app, history).status for _ in range(2)]
    asks = said(chat(app, history))
    after = [chat(app, [*history, asks, *results(asks)]).status for _ in range(2)]
    for _ in range(3):
        chat(slow, history)
    late = chat(slow, [*history, asks, *results(asks)])

    assert ([429, 429], [504, 200]) == (statuses, after)
    assert (200, 2.0) == (late.status, late.parts[0][0])
    assert {} == broken(app)


def test_every_kind_is_served():
    """
    There is no kind of fault that the parser takes and the server does not know.
    """
    statuses = {kind: ask(faulty(kind), "openai-chat").status for kind in KINDS}

    assert {400, 401, 404, 429, 500, 503, 504, 200} >= set(statuses.values())
