"""Turns that are not left in peace: clients that leave, services that stop, bounds, and faults made on purpose."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest

from looprig.service.faults import parse_fault
from looprig.service.settings import pace_of
from looprig.serving.running import Running
from looprig.target import find
from tests.service import loops
from tests.service.client import WAIT_S, User, events_of, served, service, shown, talk


def until_it_breaks(response: httpx.Response) -> str:
    """Read a stream to its end, which has to be a connection that is closed in the middle."""
    seen = ""
    try:
        for part in response.iter_text():
            seen += part
    except httpx.RemoteProtocolError:
        return seen
    pytest.fail("the stream came to a good end")


SLOW = talk(6, {}, delay_s=120.0)
"""Answers that take longer than any test waits."""


def begun(running: Running[Any], session: str, text: str = "[#s0t0] question 0") -> socket.socket:
    """Ask for a turn, and read nothing of it."""
    body = json.dumps({"text": text}).encode()
    plug = socket.create_connection(("127.0.0.1", running.port), WAIT_S)
    head = f"POST /v1/sessions/{session}/turns HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    plug.sendall(head.encode() + body)
    return plug


@pytest.mark.parametrize("factory", [loops.Plain, loops.Streaming, find("reference").make()])
def test_client_that_leaves(factory: Callable[..., Any]):
    """
    A turn whose client closes the connection is cancelled and counted so; nobody is blamed, and the session goes on.
    """
    app = service(factory, talk(6, {1: 1}), pace=pace_of("50ms", "50ms", 1))
    with served(app) as (user, running):
        session = user.open()
        plug = begun(running, session)
        assert plug.recv(100)
        plug.close()
        told = user.until(lambda told: told["turns"]["cancelled"])
        end = user.turn(session, "[#s0t1] question 1")
        after = user.stats()

    assert (1, 0, 0, 0) == tuple(told["turns"][key] for key in ("cancelled", "finished", "failed", "running"))
    assert "[#s0t1] this is the answer to question 1" == end["answer"]
    assert ({}, 1) == (after["violations"], after["turns"]["finished"])


def test_client_that_leaves_before_the_first_word():
    """
    A client that leaves while nothing has come yet is noticed too.
    """
    with served(service(loops.Plain, SLOW)) as (user, running):
        plug = begun(running, user.open())
        user.until(lambda told: told["turns"]["running"])
        plug.close()

        assert 1 == user.until(lambda told: told["turns"]["cancelled"])["turns"]["cancelled"]


def test_client_of_a_synchronous_loop():
    """
    A thread cannot be cancelled: the session is busy until its turn is over, which counts as cancelled.
    """
    with served(service(loops.Synchronous, talk(6, {}), pace=pace_of("300ms", "1ms", 1))) as (user, running):
        session = user.open()
        begun(running, session).close()
        told = user.until(lambda told: told["turns"]["cancelled"])
        end = user.turn(session, "[#s0t1] question 1")

    assert ({}, 0) == (told["violations"], told["turns"]["finished"])
    assert [] == end["violations"]


def test_one_turn_at_a_time():
    """
    A session has one turn at a time; a second one is told so, and the first goes on.
    """
    with served(service(loops.Plain, SLOW)) as (user, running):
        session = user.open()
        plug = begun(running, session)
        user.until(lambda told: told["turns"]["running"])
        response = user.http.post(f"/v1/sessions/{session}/turns", json={"text": "?"})
        told = user.stats()
        plug.close()

    assert (409, "busy") == (response.status_code, response.json()["error"]["type"])
    assert (1, 1) == (told["turns"]["running"], told["turns"]["started"])


def test_turns_are_bounded():
    """
    Beyond the bound a turn is refused with a time to come again, and counted as refused.
    """
    with served(service(loops.Plain, SLOW, turns=1)) as (user, running):
        plug, other = begun(running, user.open()), user.open()
        user.until(lambda told: told["turns"]["running"])
        response = user.http.post(f"/v1/sessions/{other}/turns", json={"text": "?"})
        chat = user.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "?"}]})
        told = user.stats()
        plug.close()

    assert (429, 429, "1") == (response.status_code, chat.status_code, response.headers["retry-after"])
    assert 2 == told["turns"]["refused"]


@pytest.mark.parametrize("factory", [loops.Hanging, loops.Synchronous])
def test_turn_limit(factory: Callable[..., Any]):
    """
    A turn that takes too long is stopped, told to the client, and a finding: that of a synchronous loop when it asks
    its model again.
    """
    scenario = talk(6, {0: 3}, delay_s=0.0)
    slow = pace_of("1500ms", "0", 1) if factory is loops.Synchronous else pace_of(None, None, 1)
    with served(service(factory, scenario, turn_s=0.2, pace=slow)) as (user, _):
        session = user.open()
        name, data = user.say(session, "[#s0t0] question 0 wait")[-1]
        told = user.stats()

    assert ("error", "TurnStopped") == (name, data["type"])
    assert "it took more than 0.2 s" in data["message"]
    assert (1, 1) == (told["violations"]["LR151"], told["turns"]["failed"])


def test_pace():
    """
    With a time to the first token and one between tokens, an answer takes as long as that comes to, at least.
    """
    import time

    with served(service(scenario=talk(2, {}), pace=pace_of("200ms", "20ms", 1))) as (user, _):
        session = user.open()
        started = time.monotonic()
        events = user.say(session, "[#s0t0] question 0")
        took_s = time.monotonic() - started
    tokens = len(events) - 1

    assert tokens == events[-1][1]["output_tokens"] > 5
    assert took_s >= 0.2 + 0.02 * (tokens - 1) - 0.005


def test_events_come_when_they_happen():
    """
    What a tool does is told while the turn goes on, and not at its end.
    """
    scenario = talk(2, {0: 1}, delay_s=60.0)
    with served(service(loops.Plain, scenario)) as (user, _):
        session = user.open()
        path = f"/v1/sessions/{session}/turns"
        with user.http.stream("POST", path, json={"text": "[#s0t0] question 0"}) as response:
            seen = ""
            for part in response.iter_text():
                seen += part
                if seen.count("event: tool_result") == 2:
                    break
        user.until(lambda told: told["turns"]["cancelled"])

    assert "event: end" not in seen


@pytest.mark.parametrize("factory", [loops.Plain, loops.Synchronous])
def test_graceful_stop(factory: Callable[..., Any]):
    """
    When the service stops, running turns end as they would, and new ones are refused.
    """
    ended: list[Any] = []
    app = service(factory, talk(2, {}), pace=pace_of("400ms", "1ms", 1))
    with served(app) as (user, running):
        session, other = user.open(), user.open()

        def converse() -> None:
            with User(running.url).http as http:
                response = http.post(f"/v1/sessions/{session}/turns", json={"text": "[#s0t0] question 0"})
            ended.extend(events_of(response.text))

        turn = threading.Thread(target=converse)
        turn.start()
        user.until(lambda told: told["turns"]["running"])
        assert 1 == running.ask(app.drain)
        refused = [
            user.http.post("/v1/sessions", json={}),
            user.http.post(f"/v1/sessions/{other}/turns", json={"text": "?"}),
            user.http.get("/health"),
        ]
        turn.join()

    assert [503, 503, 503] == [response.status_code for response in refused]
    assert "retry-after" in refused[0].headers
    assert "[#s0t0] this is the answer to question 0" == ended[-1][1]["answer"]


@pytest.mark.parametrize("factory", [loops.Plain, loops.Hanging, loops.Synchronous])
def test_stop_with_turns_that_would_go_on(factory: Callable[..., Any]):
    """
    Turns that do not end are cancelled when the service ends; their clients are told, and no thread is left waiting.
    """
    app = service(factory, SLOW)
    with served(app) as (user, running):
        plug = begun(running, user.open(), "[#s0t0] question 0 wait")
        user.until(lambda told: told["turns"]["running"])
    rest = b""
    while part := plug.recv(65536):
        rest += part
    plug.close()

    assert b"event: error" in rest
    assert {} == app.stats()["violations"]


def test_stall():
    """
    A planned stall holds the first event of each N-th turn back.
    """
    import time

    took: list[float] = []
    with served(service(scenario=talk(4, {}), faults=(parse_fault("stall:ms=300,every=2"),))) as (user, _):
        session = user.open()
        for turn in range(4):
            started = time.monotonic()
            user.turn(session, f"[#s0t{turn}] question {turn}")
            took.append(time.monotonic() - started)
        told = user.stats()

    assert min(took[1], took[3]) >= 0.295
    assert {"stall": 2} == told["faults"]


@pytest.mark.parametrize("pace", [None, "2ms"])
def test_cut(pace: str | None):
    """
    A planned cut ends a stream in the middle of the answer: the connection is closed, and no end event was sent.
    """
    app = service(scenario=talk(4, {}), faults=(parse_fault("cut:every=2"),), pace=pace_of(pace, pace, 1))
    with served(app) as (user, _):
        session = user.open()
        user.turn(session, "[#s0t0] question 0")
        path = f"/v1/sessions/{session}/turns"
        with user.http.stream("POST", path, json={"text": "[#s0t1] question 1"}) as response:
            seen = until_it_breaks(response)
        user.until(lambda told: not told["turns"]["running"])
        end = user.turn(session, "[#s0t2] question 2")
        told = user.stats()

    answer = "[#s0t1] this is the answer to question 1"
    assert answer.startswith(shown(events_of(seen)))
    assert 0 < len(shown(events_of(seen))) < len(answer)
    assert ({"cut": 1}, {}, []) == (told["faults"], told["violations"], end["violations"])


def test_freeze():
    """
    A planned freeze stops everything for its time, once, from the first turn on.
    """
    import time

    with served(service(scenario=talk(4, {}), faults=(parse_fault("freeze:at=0s,for=0.5s"),))) as (user, _):
        session = user.open()
        started = time.monotonic()
        for turn in range(4):
            user.turn(session, f"[#s0t{turn}] question {turn}")
        told = user.stats()
        took_s = time.monotonic() - started

    assert {"freeze": 1} == told["faults"]
    assert took_s >= 0.5
