"""Judges CPU time: sessions of pairs until the rule has a verdict, or the budget is spent."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from random import Random, SystemRandom
from statistics import median

from looprig.home import Job, Party
from looprig.paired.crew import Design, design_for
from looprig.paired.rule import LOOKS, Limits, Look, look, unfit
from looprig.paired.session import Bounds, Session, Size, TooLong, drawn, play
from looprig.progress import Tell
from looprig.scenario import Scenario
from looprig.verdicts import Comparison, Layer, Verdict
from looprig.workload import messages_of, pack, unpack

METRIC = "cpu_time_per_message_us"

HANGS_S = 60.0
"""Beyond the budget a session gets so many seconds before it is taken to hang."""

BUSY = 1.25
"""Batches that took so many times their CPU time in wall time had to wait for a core."""


def _any_seed() -> int:
    return SystemRandom().randrange(2**32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to judge: the rule's limits, seconds for each scenario, whether to control, and the seed of chance.

    ``alpha`` is the rate of errors of all scenarios together. With ``control`` a second copy of BEFORE is played
    too: where it does not come out like BEFORE, nothing on this machine does. Each plan draws another seed.

    Raises:
        ValueError: where the limits contradict each other, or there is no budget.
    """

    margin: float = 0.02
    reach: float = 0.05
    alpha: float = 0.01
    budget_s: float = 30.0
    control: bool = False
    seed: int = field(default_factory=_any_seed)

    def __post_init__(self) -> None:
        if not self.budget_s > 0:
            raise ValueError(f"the budget has to be more than {self.budget_s:g} s")
        self.limits(1)

    def limits(self, scenarios: int) -> Limits:
        """Return the limits of each of so many scenarios."""
        return Limits(self.margin, self.reach, self.alpha).shared(scenarios)


@dataclass(frozen=True, slots=True)
class Timed:
    """A verdict with what it rests on: log ratios of AFTER, and of the control if there was one, by BEFORE."""

    comparison: Comparison
    sessions: Sequence[Session]
    seconds: float
    seed: int

    @property
    def log_ratios(self) -> list[float]:
        """One a session, in order: from these the rule finds its verdict again."""
        return [session.log_ratio for session in self.sessions]

    @property
    def control(self) -> list[float]:
        """One a session; empty without a control."""
        return [session.control for session in self.sessions if session.control is not None]

    @property
    def cpu_s(self) -> float:
        """CPU time of all workers, from the start of their interpreters, in seconds."""
        return sum(session.cpu_s for session in self.sessions)


def jobs_of(scenarios: Sequence[Scenario], before: Party, after: Party) -> list[Job]:
    """Return a job for each scenario."""
    return [Job(scenario.name, pack(scenario), before, after) for scenario in scenarios]


def judge(jobs: Sequence[Job], plan: Plan, tell: Tell) -> list[Comparison]:
    """Judge the CPU time of every job; see `measure`."""
    return [timed.comparison for timed in measure(jobs, plan, tell)]


def measure(jobs: Sequence[Job], plan: Plan, tell: Tell) -> list[Timed]:
    """Judge the CPU time of every job, and keep what the verdicts rest on; *tell* is told of each job and session.

    Raises:
        LoopError: where a loop cannot be made or raises, or its process dies or hangs.
    """
    limits = plan.limits(len(jobs))
    done = []
    with tempfile.TemporaryDirectory() as folder:
        for number, job in enumerate(jobs, 1):
            packed = Path(folder) / f"{number}.pickle"
            packed.write_bytes(job.packed_scenario)
            done.append(_Course(job, packed, plan, limits).run(tell))
            tell.step(number, f"{job.scenario_name}, CPU time {done[-1].comparison.verdict}")
    return done


@dataclass(slots=True)
class _Course:
    """The way to one verdict."""

    job: Job
    packed: Path
    plan: Plan
    limits: Limits
    sessions: list[Session] = field(default_factory=list)
    size: Size | None = None
    seen: Look | None = None

    def run(self, tell: Tell) -> Timed:
        began = time.monotonic()
        why = self._played(began, tell)
        seconds = time.monotonic() - began
        return Timed(self._comparison(seconds, why), tuple(self.sessions), seconds, self.plan.seed)

    @property
    def _parties(self) -> list[Party]:
        before, after = self.job.before, self.job.after
        return [before, after, before] if self.plan.control else [before, after]

    def _played(self, began: float, tell: Tell) -> str:
        """Play until there is a verdict; return why there is none."""
        random = Random(f"{self.plan.seed} {self.job.scenario_name}")
        bounds = Bounds(self.plan.budget_s / LOOKS[0], self.plan.budget_s + HANGS_S)
        longest = 0.0
        while len(self.sessions) < LOOKS[-1]:
            start = time.monotonic()
            if start - began + longest > self.plan.budget_s:
                return f"the budget of {self.plan.budget_s:g} s is spent"
            draw = drawn(random, len(self._parties))
            try:
                session, self.size = play(self._parties, self.packed, draw, self._design, self.size, bounds)
            except TooLong as error:
                return (
                    f"a pair takes {error.seconds:.1f} s and {LOOKS[0]} are needed, "
                    f"more than the budget of {self.plan.budget_s:g} s; make the scenario shorter, or the budget larger"
                )
            self.sessions.append(session)
            longest = max(longest, time.monotonic() - start)
            tell.turn(len(self.sessions), LOOKS[-1])
            seen = look([session.log_ratio for session in self.sessions], self.limits)
            self.seen = seen or self.seen
            if seen is not None and seen.verdict is not Verdict.UNDECIDED:
                return ""
        return f"{LOOKS[-1]} pairs were not enough"

    @property
    def _design(self) -> Design:
        return design_for(self._parties)

    def _comparison(self, seconds: float, why: str) -> Comparison:
        seen = self.seen
        verdict = seen.verdict if seen is not None else Verdict.UNDECIDED
        if unfit([session.control for session in self.sessions if session.control is not None], self.limits):
            verdict, why = Verdict.UNDECIDED, "the machine is unfit: BEFORE and a copy of it came out differently"
        if self._failures():
            verdict, why = Verdict.UNDECIDED, self._failures()
        before, after = self._per_message(attrgetter("before_ns")), self._per_message(attrgetter("after_ns"))
        return Comparison(
            self.job.scenario_name,
            METRIC,
            before,
            after,
            verdict,
            Layer.CPU_TIME,
            "us",
            seen.ratio if seen is not None else None,
            seen.interval if seen is not None else None,
            method=f"CPU time of pairs in fresh interpreters ({self._design}), winsorised t, at most "
            f"{self.plan.alpha:.3g} wrong",
            note="; ".join(part for part in (why, self._facts(seconds), self._busy()) if part),
        )

    def _failures(self) -> str:
        """Return a sentence where more turns failed on one side than on the other: then the work was not the same."""
        for session in self.sessions:
            before, after = session.before_failed, session.after_failed
            if before.turns != after.turns:
                return (
                    f"not the same work: {before.turns:g} turns of a play raised before and {after.turns:g} after "
                    f"({after.first or before.first})"
                )
        return ""

    def _per_message(self, side: Callable[[Session], float]) -> float | None:
        if not self.sessions:
            return None
        messages = sum(messages_of(turn) for turn in unpack(self.job.packed_scenario).turns)
        return median(side(session) for session in self.sessions) / 1e3 / max(1, messages)

    def _facts(self, seconds: float) -> str:
        pinned = bool(self.sessions) and self.sessions[0].draw.core is not None
        where = "one core a pair" if pinned else "not pinned to a core"
        return (
            f"{len(self.sessions)} pairs in {seconds:.1f} s, {where}, "
            f"margin {self.limits.margin:.3g}, reach {self.limits.reach:.3g}"
        )

    def _busy(self) -> str:
        if not self.sessions:
            return ""
        factor = median(session.wall_by_cpu for session in self.sessions)
        return f"the machine was busy: wall time is {factor:.1f} times CPU time" if factor > BUSY else ""
