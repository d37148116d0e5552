"""The knee of a real service: runs at one rate after another, on one service, judged as any run is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from looprig.load.children import CannotRun
from looprig.load.knee import Answer, Attempt, Enough, Knee, find
from looprig.load.plan import Plan, Stage
from looprig.load.running import How, Ran, Tell, prepare, run, stoppable
from looprig.load.service import Opened, Service
from looprig.load.summary import Ended, Summary

SETTLE_S = 10.0
"""How long turns of the run before are waited for: what is left of them would be load that nobody asked for."""

OF_THE_SERVICE = ("ended",)
"""Gates of validity that an overloaded service fails, and not the generator."""


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """What a search came to; ``broken`` are invariants that broke, which end it."""

    knee: Knee
    plan: Plan
    loop: str | None
    ended: Ended
    broken: dict[str, int] = {}
    machine: dict[str, str | int] = {}


def search(
    plan: Plan,
    how: How,
    opened: Opened,
    judged: Callable[[Ran], Summary],
    tell: Tell,
    first: float,
    runs_most: int,
    say: Callable[[str], None],
) -> Searched:
    """Search from the rate *first* on; each run is the plan's, at another rate and with another seed.

    Raises:
        CannotRun: where a run cannot be made, or has too few turns for what is asked of it.
        NoService: where nobody answers.
    """
    prepare(Path(plan.folder))
    # Also between two runs a signal ends the search, and not the process.
    with stoppable() as stop, opened() as service:
        runs = _Runs(plan, how, service, judged, tell, say)

        def measure(rate: float) -> Attempt:
            if stop.asked:
                runs.ended = Ended(how="interrupted", because="interrupted")
                raise Enough
            return runs.measure(rate)

        found = find(measure, first, runs_most=runs_most)
    last = runs.last
    return Searched(
        knee=found,
        plan=msgspec.structs.replace(plan, url=service.url),
        loop=last.loop if last is not None else None,
        ended=runs.ended,
        broken=dict(last.broken) if last is not None else {},
        machine=dict(last.machine) if last is not None else {},
    )


class _Runs:
    """Makes the runs of one search."""

    def __init__(
        self,
        plan: Plan,
        how: How,
        service: Service,
        judged: Callable[[Ran], Summary],
        tell: Tell,
        say: Callable[[str], None],
    ) -> None:
        self._plan, self._how, self._service = plan, how, service
        self._judged, self._tell, self._say = judged, tell, say
        self._number = 0
        self.last: Summary | None = None
        self.ended = Ended()

    def measure(self, rate: float) -> Attempt:
        """Make one run."""
        stage = Stage(duration_s=self._plan.duration_s, start=rate, end=rate)
        plan = msgspec.structs.replace(self._plan, stages=(stage,), seed=self._plan.seed + self._number)
        self._number += 1
        summary = self._judged(run(plan, self._how, lambda: contextlib.nullcontext(self._service), self._tell))
        self.last = summary
        if summary.outcome in ("interrupted", "error", "violated"):
            because = "; ".join(summary.because)
            interrupted = summary.outcome == "interrupted"
            self.ended = Ended(how="interrupted" if interrupted else "error", because=because)
            raise Enough
        attempt = attempt_of(rate, summary)
        self._say(f"run {self._number}: {rate:.4g} sessions/s: {attempt.answer} {', '.join(attempt.gave_way)}".rstrip())
        _settle(self._service)
        return attempt


def attempt_of(rate: float, summary: Summary) -> Attempt:
    """Return what a run shows about its rate.

    Raises:
        CannotRun: where it had too few turns to show anything.
    """
    goodput = summary.scalars.get("goodput")
    failed = [gate.name for gate in summary.validity if not gate.held]
    generator = tuple(name for name in failed if name not in OF_THE_SERVICE)
    missed = tuple(each.rule for each in summary.thresholds if each.verdict in ("missed", "no data"))
    few = [each for each in summary.thresholds if each.verdict == "too few"]
    if summary.outcome == "nothing" or (few and not failed and not missed):
        why = "; ".join(summary.because)
        raise CannotRun(f"a run of {summary.plan.duration_s:g} s at {rate:.4g} sessions/s shows too little: {why}")
    answer: Answer = "generator" if generator else "missed" if failed or missed else "kept"
    gave_way = generator or (*failed, *missed)
    return Attempt(rate=rate, answer=answer, gave_way=gave_way, goodput=goodput)


def _settle(service: Service) -> None:
    """Wait until the service is done with the turns that it was given, for some seconds."""
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until:
        stats = service.stats()
        turns = (stats or {}).get("turns", {})
        done = sum(turns.get(name, 0) for name in ("finished", "failed", "cancelled"))
        if turns.get("started", 0) <= done:
            return
        time.sleep(0.2)
