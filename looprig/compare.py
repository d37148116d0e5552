"""Sets two loops side by side: the same scenarios, interleaved runs.

Exact metrics decide by one value: equal is unchanged, anything else is a change. CPU times are given as
medians of the interleaved runs and stay undecided: so few runs on a shared machine cannot show that a
difference is real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from looprig.content import ScenarioFile
from looprig.metrics import METRICS, VIRTUAL_TIME
from looprig.progress import Tell
from looprig.runner import Outcome
from looprig.subject import LoopError
from looprig.suite import Settings, Step
from looprig.target import Target
from looprig.verdicts import Comparison, Verdict


@dataclass(frozen=True, slots=True)
class Side:
    """One loop's outcomes: for each scenario its interleaved runs, of which the first is judged."""

    spec: str
    runs: dict[str, list[Outcome]]

    def value(self, scenario: str, metric: str) -> float | None:
        """Return the metric's value: of the first run where it is exact, else the median of all."""
        values = [run.metrics[metric] for run in self.runs[scenario] if metric in run.metrics]
        if not values:
            return None
        return values[0] if METRICS[metric].exact else median(values)

    def total(self, metric: str) -> float | None:
        """Return the sum over all scenarios."""
        values = self._values(metric)
        return sum(values) if values else None

    def largest(self, metric: str) -> float | None:
        """Return the largest value of all scenarios."""
        return max(self._values(metric), default=None)

    def weighted(self, metric: str, by: str) -> float | None:
        """Return the mean over all scenarios, weighted by another metric."""
        pairs = [(self.value(name, metric), self.value(name, by)) for name in self.runs]
        known = [(value, weight) for value, weight in pairs if value is not None and weight]
        total = sum(weight for _, weight in known)
        return sum(value * weight for value, weight in known) / total if total else None

    def _values(self, metric: str) -> list[float]:
        values = (self.value(name, metric) for name in self.runs)
        return [value for value in values if value is not None]

    def broken(self, code: str | None = None) -> int:
        """Count violations over all scenarios, of one code or of all."""
        counts = [runs[0].broken for runs in self.runs.values()]
        return sum(broken.get(code, 0) if code else sum(broken.values()) for broken in counts)

    def judged(self, code: str) -> int:
        """Count judgements over all scenarios."""
        return sum(runs[0].judgements.get(code, 0) for runs in self.runs.values())

    def statistic(self, name: str) -> float | None:
        """Return the sum over all scenarios of one of the loop's own figures; None where it has none such."""
        found = [runs[0].statistics[name] for runs in self.runs.values() if name in runs[0].statistics]
        numbers = [value for value in found if isinstance(value, int | float)]
        return sum(numbers) if numbers else None

    def statistic_names(self) -> set[str]:
        """Return the names of the loop's own figures."""
        return {name for runs in self.runs.values() for name in runs[0].statistics}


@dataclass(frozen=True, slots=True)
class Compared:
    """Two sides over the same scenarios; ``judged`` is what other layers than the exact counters found."""

    before: Side
    after: Side
    settings: Settings
    rounds: int
    judged: Sequence[Comparison] = ()

    def after_breaks(self) -> bool:
        """Whether the loop after the change breaks an invariant."""
        return self.after.broken() > 0

    def comparisons(self) -> list[Comparison]:
        """Return every metric of every scenario, and what was judged besides."""
        virtual = self.settings.clock == "virtual"
        counted = [
            Comparison(name, metric, before, after, verdict(metric, before, after, virtual), unit=METRICS[metric].unit)
            for name in self.before.runs
            for metric in METRICS
            if (before := self.before.value(name, metric)) is not None or self.after.value(name, metric) is not None
            for after in [self.after.value(name, metric)]
        ]
        return [*counted, *self.judged]


def verdict(metric: str, before: float | None, after: float | None, virtual: bool = True) -> Verdict:
    """Judge one metric; noisy ones and those that only one side has stay undecided."""
    facts = METRICS[metric]
    exact = facts.exact and (virtual or metric not in VIRTUAL_TIME)
    if before is None or after is None or not exact:
        return Verdict.UNDECIDED
    if before == after:
        return Verdict.UNCHANGED
    if facts.better == "neither":
        return Verdict.CHANGED
    return Verdict.IMPROVED if (after < before) == (facts.better == "lower") else Verdict.REGRESSED


def compare(
    targets: tuple[Target, Target], files: Sequence[ScenarioFile], settings: Settings, rounds: int, tell: Tell
) -> Compared:
    """Run both loops over the scenarios, in turn and *rounds* times; the order alternates between rounds.

    Raises:
        LoopError: where a loop cannot be driven.
    """
    before, after = play_sides(targets, files, settings, rounds, tell)
    return Compared(before, after, settings, rounds)


def play_sides(
    targets: Sequence[Target], files: Sequence[ScenarioFile], settings: Settings, rounds: int, tell: Tell
) -> Sequence[Side]:
    """Run each loop over the scenarios, in turn and *rounds* times; the order is turned round between rounds.

    Raises:
        LoopError: where a loop cannot be driven.
    """
    sides = tuple(Side(target.spec, {file.name: [] for file in files}) for target in targets)
    done = 0
    for number in range(rounds):
        for file in files:
            order = range(len(targets)) if number % 2 == 0 else reversed(range(len(targets)))
            for index in order:
                step = Step(file, settings.seed, targets[index], settings)
                outcome = step.run(tell.turn, record=False)
                if outcome.unusable:
                    raise LoopError(f"{targets[index].spec}, {file.name}: {outcome.unusable}")
                sides[index].runs[file.name].append(outcome)
                done += 1
                tell.step(done, f"{file.name} {targets[index].spec}")
    return sides
