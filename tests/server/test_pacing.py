"""Latencies: how they are written, what they come to, and that streams keep to their moments."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.server.http import Connection
from looprig.server.pacing import BadLatency, Latency, Pace, parse_latency
from looprig.server.ready import Ready


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


class Events:
    """An event loop whose clock goes where it is told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Any) -> Any:
        entry = (when, call)
        self.timers.append(entry)
        return _Handle(self, entry)

    def call_later(self, after: float, call: Any) -> Any:
        return self.call_at(self.now + after, call)

    def run(self, until: float, late: float = 0.0) -> None:
        """Fire what is due up to *until*, each timer *late* by so much."""
        while due := [entry for entry in self.timers if entry[0] <= until]:
            entry = min(due, key=lambda each: each[0])
            self.timers.remove(entry)
            self.now = max(self.now, entry[0] + late)
            entry[1]()
        self.now = max(self.now, until)


class _Handle:
    def __init__(self, events: Events, entry: Any) -> None:
        self.events, self.entry = events, entry

    def cancel(self) -> None:
        if self.entry in self.events.timers:
            self.events.timers.remove(self.entry)


class Transport:
    """Keeps what is written with the moment of it."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.written: list[tuple[float, bytes]] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append((self.events.now, data))

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed


class Server:
    closing = False

    def __init__(self, ready: Ready) -> None:
        self.ready = ready

    def answer(self, asked: Any) -> Ready:
        return self.ready


def connected(ready: Ready) -> tuple[Connection, Events, Transport]:
    events = Events()
    transport = Transport(events)
    connection = Connection(Server(ready), events, set())  # type: ignore[arg-type]
    connection.connection_made(transport)  # type: ignore[arg-type]
    return connection, events, transport


ASK = b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"


def paced(*dues: float, **more: Any) -> Ready:
    parts = [(due, b"part%d;" % number) for number, due in enumerate(dues)]
    return Ready(200, b"transfer-encoding: chunked\r\n", chunked=True, parts=parts, **more)


def test_parts_come_when_they_are_due():
    """
    Each part is written at its moment, the head with the first and the end with the last; the connection is kept.
    """
    connection, events, transport = connected(paced(0.05, 0.07, 0.09))

    connection.data_received(ASK)
    events.run(101)

    assert pytest.approx([100.05, 100.07, 100.09]) == [at for at, _ in transport.written]
    assert transport.written[0][1].startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"7\r\npart2;\r\n0\r\n\r\n" == transport.written[2][1].replace(b"6\r\n", b"7\r\n", 1)
    assert not transport.closed


def test_late_parts_catch_up():
    """
    A timer that comes late makes no later part late: what has become due goes out in one write.
    """
    connection, events, transport = connected(paced(0.0, 0.01, 0.02, 0.03, 0.2))

    connection.data_received(ASK)
    events.run(101, late=0.015)

    assert [100.0, 100.025, 100.045, 100.215] == pytest.approx([at for at, _ in transport.written])
    assert b"part1;part2;" in transport.written[1][1]


def test_slow_reader():
    """
    Nothing is written while the client does not read; then all that has become due, at once.
    """
    connection, events, transport = connected(paced(0.0, 0.01, 0.02, 0.03))

    connection.data_received(ASK)
    connection.pause_writing()
    events.run(101)
    before = len(transport.written)
    connection.resume_writing()

    assert (1, 2) == (before, len(transport.written))
    assert b"part1;part2;part3;" in transport.written[1][1]


def test_client_that_leaves():
    """
    When the client is gone no timer is left, and the answer no longer counts as being given.
    """
    told: list[int] = []
    connection, events, transport = connected(paced(0.0, 0.01, 0.02, opened=told.append))

    connection.data_received(ASK)
    connection.connection_lost(None)
    events.run(101)

    assert [1, -1] == told
    assert 1 == len(transport.written)
    assert [] == events.timers


@pytest.mark.parametrize(("stalls", "closed"), [(False, True), (True, False)])
def test_broken_off(stalls: bool, closed: bool):
    """
    What is not whole has no end: the connection is closed behind it, or held open where the fault is a stall.
    """
    connection, events, transport = connected(paced(0.0, 0.01, whole=False, stalls=stalls))

    connection.data_received(ASK)
    events.run(105)

    assert closed == transport.closed
    assert not any(b"0\r\n\r\n" in data for _, data in transport.written)
    connection.leave()
    assert transport.closed


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 0.3))
def test_every_part_is_sent_once(dues: list[float], late: float):
    """
    Whatever the moments and however late the timers: all parts are sent, in order, none before it is due.
    """
    connection, events, transport = connected(paced(*sorted(dues)))

    connection.data_received(ASK)
    events.run(110, late)

    sent = b"".join(data for _, data in transport.written)
    assert [b"part%d;" % number in sent for number in range(len(dues))] == [True] * len(dues)
    assert sent.endswith(b"0\r\n\r\n")
    for at, data in transport.written:
        for number, due in enumerate(sorted(dues)):
            if b"part%d;" % number in data:
                assert at >= 100 + due - 0.001


def test_requests_that_do_not_wait():
    """
    Requests that come before the answer to the one before are answered after it, in their order.
    """
    connection, events, transport = connected(paced(0.01, 0.02))

    connection.data_received(ASK * 3)
    events.run(101)

    assert 3 == sum(data.startswith(b"HTTP/1.1 200") for _, data in transport.written)
    assert pytest.approx([100.01, 100.02, 100.03, 100.04, 100.05, 100.06]) == [at for at, _ in transport.written]
