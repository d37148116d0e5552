"""Conversations with the reference loop, in process, by many users at once.

    locust --headless --users 20 --run-time 30s --only-summary -f loadtests/chat_turns.py

Measures: how long the loop itself takes for a turn (validation, tools, trimming; model and
tools are mocks that answer at once) while other conversations share the process, and
whether its history keeps to its bound.

Does not measure: HTTP, or a service (that comes with ``looprig serve``); parallel speed,
because all users take turns on one core; or response times under a fixed arrival rate,
because these users are closed: each waits for its answer before it types again, so a slow
loop is asked less often.
"""

from __future__ import annotations

import asyncio
import selectors
import time

from locust import User, between, task

from reference_loop.config import Config
from reference_loop.loop import ReferenceLoop
from reference_loop.mock_llm import MockModel
from reference_loop.mock_tools import mock_tools

PAIRS = 20
HISTORY_MAX = 3 * (2 * PAIRS + 5) // 2
"""The trigger of the policy `grouped`. Worked out here, so that the loop is not asked for its own bound."""

SAYINGS = (
    ("small talk", "Good morning! How are you today?"),
    ("tool call", "Please calculate 6 * 7"),
    ("long text", "What do you think of this? " + "All work and no play makes Jack a dull boy. " * 40),
)


class HistoryTooLong(Exception):
    """The loop remembers more than its policy promises."""


class NeverWaits(selectors.SelectSelector):
    """For an event loop whose turns wait for nothing outside the process.

    Locust patches the ordinary selectors with gevent's, which let the next user run in the
    middle of a turn; asyncio then refuses to run a second event loop in the same thread.
    A loop that does real input and output needs a thread of its own, or a server.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return []


class Chatter(User):
    """Somebody who talks, in one conversation that goes on until the run is over."""

    wait_time = between(0.005, 0.02)

    def on_start(self) -> None:
        self.turns = 0
        self.loop = ReferenceLoop(MockModel(), mock_tools(), Config(policy="grouped", max_history_pairs=PAIRS))
        self.asyncio = asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(NeverWaits()))

    def on_stop(self) -> None:
        self.loop.close()
        self.asyncio.close()

    @task
    def turn(self) -> None:
        name, text = SAYINGS[self.turns % len(SAYINGS)]
        self.turns += 1
        length = 0
        failure: Exception | None = None
        started = time.perf_counter()
        try:
            answer = self.asyncio.run(self.loop.send(text))
        except Exception as error:
            failure = error
        duration_s = time.perf_counter() - started
        if failure is None:
            length = len(answer.content)
            if len(self.loop.history) > HISTORY_MAX:
                failure = HistoryTooLong(f"more than {HISTORY_MAX} messages")
        self.environment.events.request.fire(
            request_type="turn",
            name=name,
            response_time=duration_s * 1000,
            response_length=length,
            exception=failure,
            context={},
        )
