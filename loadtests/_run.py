"""One process's part in a load run: its share of the work, its clock, and how it comes to its end.

A run is over when its stages are: nobody begins a turn any more, and turns that are under way may end, for as long as
the plan's ``stop_timeout_s`` says. What has not ended then is broken off and counted as cancelled. Locust's own way
throws away what is under way, which are just the slowest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gevent
from gevent.event import Event as Flag
from geventhttpclient.client import HTTPClientPool

from looprig.load.arrivals import schedule, share
from looprig.load.plan import Plan
from looprig.load.recorder import Recorder
from looprig.load.talks import Talks

BEAT_S = 0.01
"""How often the generator looks whether it is late itself."""

CONNECTIONS_MOST = 1_000_000
"""The pool must never make anybody wait: that would be a delay which nobody sees."""


class BrokenOff(gevent.GreenletExit):
    """A turn that is broken off by us, since the run is over or was stopped."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Run:
    """The state that the users of one process share. ``now`` counts seconds since `begin`."""

    def __init__(self, plan: Plan, name: str, facts: dict[str, Any]) -> None:
        self.plan = plan
        self.talks = Talks(plan)
        self.name = name
        self._facts = facts
        self.pool = HTTPClientPool(
            concurrency=CONNECTIONS_MOST, network_timeout=60.0, connection_timeout=10.0, insecure=True
        )
        self.begun = Flag()
        self.reset()

    def reset(self) -> None:
        """Be as before the first run: locust's web page can start several."""
        self.recorder = Recorder(self.plan, self.name, self._facts)
        self.index, self.of = 0, 1
        self.zero = time.perf_counter()
        self.over = Flag()
        self.done = Flag()
        self.wakers: set[Flag] = set()
        """Flags of those who wait for something else than `over`, which are set with it."""
        self.owed = 0
        """Turns that came due and have not ended."""
        self.turns: set[gevent.Greenlet] = set()
        """Who is in a turn."""
        self.sessions = 0
        self.led = False
        self.leading = False
        self.numbers = 0
        self._deadline = float("inf")
        self._reason = ""
        self._cpu = time.process_time()
        self._ending: gevent.Greenlet | None = None

    def begin(self, index: int, of: int) -> None:
        """Start the clock, as process *index* (from 0) *of* so many."""
        if self.begun.is_set():
            self.begun.clear()
        self.reset()
        self.index, self.of = index, of
        self.begun.set()
        gevent.spawn(self._beat)
        if self.ends_at is not None:
            gevent.spawn(self._end_in_time, self.over)

    @property
    def now(self) -> float:
        return time.perf_counter() - self.zero

    @property
    def ends_at(self) -> float | None:
        """When nobody begins any more; None for a replay that goes to its end, and for users that somebody stops."""
        return self.plan.duration_s or None

    def is_late(self, due: float) -> bool:
        """Say whether a turn that comes due at this time belongs to the run no more."""
        return self.ends_at is not None and due >= self.ends_at

    @property
    def in_flight_most(self) -> int | None:
        """How many sessions of the plan's bound are this process's."""
        most = self.plan.arrivals.in_flight_most
        return None if most is None else max(1, most // self.of + (self.index < most % self.of))

    def next_number(self) -> int:
        """Return the number of a further session of a closed loop: no two processes give the same."""
        self.numbers += 1
        return (self.numbers - 1) * self.of + self.index

    def schedule(self) -> Iterator[tuple[int, float]]:
        """Return number and time of each session that arrives in this process."""
        return share(schedule(self.plan), self.index, self.of)

    def end(self, grace_s: float, reason: str) -> None:
        """Let nobody begin any more, and after *grace_s* break off what is under way; `done` tells when all is over."""
        self.over.set()
        for waker in list(self.wakers):
            waker.set()
        deadline = self.now + grace_s
        if deadline < self._deadline:
            self._deadline, self._reason = deadline, reason
        if self._ending is None:
            self._ending = gevent.spawn(self._finish)

    def _end_in_time(self, over: Flag) -> None:
        ends_at = self.ends_at
        assert ends_at is not None
        if not over.wait(ends_at - self.now):
            self.end(self.plan.stop_timeout_s, "unfinished")

    def _finish(self) -> None:
        while (self.leading or self.owed) and self.now < self._deadline:
            gevent.sleep(0.01)
        told: set[gevent.Greenlet] = set()
        patience = self.now + 5
        while self.owed and self.now < patience:
            for greenlet in self.turns - told:
                told.add(greenlet)
                greenlet.kill(BrokenOff(self._reason), block=False)
            gevent.sleep(0.01)
        self.note_usage()
        self.done.set()

    def note_usage(self) -> None:
        """Note which share of one core this process has used."""
        self.recorder.fact("cpu_share", round((time.process_time() - self._cpu) / max(self.now, 1e-9), 3))

    def _beat(self) -> None:
        """Note how late a greenlet is that wants to run every 10 ms; beats that were missed count as well."""
        recorder, done = self.recorder, self.done
        due = self.now
        second = -1
        while not done.is_set():
            due += BEAT_S
            if (pause := due - self.now) > 0:
                gevent.sleep(pause)
            recorder.observe("gen.beat", self.now - due, due)
            if int(due) > second:
                second = int(due)
                recorder.sample(due, in_flight=len(self.turns), sessions_open=self.sessions)
                self.note_usage()
