"""Latencies: how they are written, what they come to, and that streams keep to their moments."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.clock import VirtualClock
from looprig.server.app import App, Asked
from looprig.serving.pacing import BadLatency, Latency, Pace, parse_latency
from looprig.serving.ready import Ready
from tests.server.clients import served


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("200ms", Latency(0.2)),
        ("0.2s", Latency(0.2)),
        ("2", Latency(2.0)),
        ("lognormal:200ms,0.5", Latency(0.2, 0.5)),
        ("200ms+50us/token", Latency(0.2, 0.0, 0.00005)),
        ("lognormal: 1s, 0.25 + 1ms/token", Latency(1.0, 0.25, 1e-3)),
    ],
)
def test_spelling(text: str, latency: Latency):
    """
    A latency is a time, or a lognormal distribution, and more for each token of the prompt.
    """
    assert latency == parse_latency(text)


@pytest.mark.parametrize("text", ["", "fast", "-1s", "200 m", "lognormal:200ms", "200ms,0.5", "1s+2ms", "1h"])
def test_misspelling(text: str):
    """
    Anything else is told with how it is written.
    """
    with pytest.raises(BadLatency, match="write 200ms"):
        parse_latency(text)


def test_dues():
    """
    The first token comes after the time to the first token, which grows with the uncached prompt and with the answers
    that are being given; each further one a step later.
    """
    pace = Pace(ttft=Latency(0.2, 0.0, 0.001), itl=Latency(0.02), load=0.5)

    assert pytest.approx([0.3, 0.32, 0.34]) == pace.dues("s0n1", 3, 100, 0)
    assert pytest.approx([0.6, 0.64]) == pace.dues("s0n1", 2, 100, 2)


def test_drawn_latencies():
    """
    Drawn times have the median that was asked for, and depend on the seed and the answer alone.
    """
    pace = Pace(itl=Latency(0.02, 0.5), seed=3)
    dues = pace.dues("s0n1", 4001, 0, 0)
    steps = [later - sooner for sooner, later in pairwise(dues)]

    assert dues == pace.dues("s0n1", 4001, 0, 0)
    assert dues != pace.dues("s0n2", 4001, 0, 0)
    assert dues != Pace(itl=Latency(0.02, 0.5), seed=4).dues("s0n1", 4001, 0, 0)
    assert pytest.approx(0.02, rel=0.05) == statistics.median(steps)


Message = dict[str, Any]


class Wire:
    """A connection as an ASGI application sees it, in virtual time: keeps what is sent with the moment of it.

    The client leaves at *leaves*. Each message takes it as many seconds to read as *slow* says to the number of the
    message.
    """

    def __init__(self, leaves: float = 1000.0, slow: Callable[[int], float] = lambda _: 0.0) -> None:
        self.sent: list[tuple[float, Message]] = []
        self.ended = 0.0
        self.open: list[int] = []
        self._leaves = leaves
        self._slow = slow

    def play(self, app: App) -> Wire:
        """Ask once, and wait until the application has done what it does."""
        events = VirtualClock().event_loop()
        try:
            events.run_until_complete(self._asked(app))
            self.left = asyncio.all_tasks(events)
        finally:
            events.close()
        return self

    async def _asked(self, app: App) -> None:
        now = asyncio.get_running_loop().time
        self._now, self._app, self._begun = now, app, now()
        self._requests = iter([{"type": "http.request", "body": b"", "more_body": False}])
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
        await app(scope, self._receive, self._send)
        self.ended = now() - self._begun
        await asyncio.sleep(0)

    async def _receive(self) -> Message:
        for request in self._requests:
            return request
        await asyncio.sleep(self._leaves)
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append((self._now() - self._begun, message))
        self.open.append(self._app.journal.open)
        await asyncio.sleep(self._slow(len(self.sent)))

    @property
    def parts(self) -> list[tuple[float, bytes]]:
        """The pieces of the body with the moments at which they were sent."""
        return [(at, message["body"]) for at, message in self.sent if message.get("body")]

    @property
    def is_whole(self) -> bool:
        """Whether the response came to its end."""
        return bool(self.sent) and "body" in self.sent[-1][1] and "more_body" not in self.sent[-1][1]


def paced(*dues: float, **more: Any) -> App:
    """Return an application that answers in parts, which are due at these moments."""
    parts = [(due, b"part%d;" % number) for number, due in enumerate(dues)]
    app = served()

    def answer(asked: Asked) -> Ready:
        return Ready(200, [], parts=parts, **more)

    app.answer = answer  # type: ignore[method-assign]
    return app


def test_parts_come_when_they_are_due():
    """
    Each part is sent at its moment, the headers with the first and the end with the last.
    """
    wire = Wire().play(paced(0.05, 0.07, 0.09))

    assert pytest.approx([0.05, 0.05, 0.07, 0.09, 0.09]) == [at for at, _ in wire.sent]
    assert [b"part0;", b"part1;", b"part2;"] == [part for _, part in wire.parts]
    assert wire.is_whole


def test_parts_that_are_due_together():
    """
    What is due at one moment goes out in one piece.
    """
    wire = Wire().play(paced(0.01, 0.01, 0.01, 0.0202, 0.0203))

    assert [b"part0;part1;part2;", b"part3;part4;"] == [part for _, part in wire.parts]


def test_slow_reader():
    """
    A client that is slow to take one part makes no later one late: what has become due goes out in one piece.
    """
    wire = Wire(slow=lambda number: 0.025 if number == 2 else 0.0).play(paced(0.0, 0.01, 0.02, 0.03, 0.2))

    assert pytest.approx([0.0, 0.025, 0.03, 0.2]) == [at for at, _ in wire.parts]
    assert b"part1;part2;" == wire.parts[1][1]


def test_client_that_leaves():
    """
    When the client is gone nothing more is waited for, and the answer no longer counts as being given.
    """
    app = paced(0.0, 0.01, 500.0)
    wire = Wire(leaves=0.015).play(app)

    assert pytest.approx(0.015) == wire.ended
    assert ({1}, 0) == (set(wire.open), app.journal.open)
    assert not wire.is_whole


def test_no_task_is_left():
    """
    Nobody watches a client any longer once its answer has ended.
    """
    assert set() == Wire().play(paced(0.0, 0.01)).left


@pytest.mark.parametrize(("stalls", "ended"), [(False, 0.01), (True, 99.0)])
def test_broken_off(stalls: bool, ended: float):
    """
    What is not whole has no end; the connection is held open until the client leaves, where the fault is a stall.
    """
    wire = Wire(leaves=99.0).play(paced(0.0, 0.01, whole=False, stalls=stalls))

    assert pytest.approx(ended) == wire.ended
    assert not wire.is_whole


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 0.3))
def test_every_part_is_sent_once(dues: list[float], slow: float):
    """
    Whatever the moments, and however slow the client: all parts are sent, in order, none before it is due.
    """
    dues.sort()
    wire = Wire(slow=lambda _: slow).play(paced(*dues))

    assert b"".join(b"part%d;" % number for number in range(len(dues))) == b"".join(part for _, part in wire.parts)
    assert wire.is_whole
    for at, piece in wire.parts:
        for part in piece.removesuffix(b";").split(b";"):
            assert at >= dues[int(part.removeprefix(b"part"))] - 0.001
