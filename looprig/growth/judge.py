"""Measures what a message costs in each doubling of a conversation, and judges how that grows.

Tokens and instructions are exact: one conversation decides. CPU time is taken from several conversations, and from
twice as many where these do not decide. What a loop keeps is weighed at each size, by message that it holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any

from looprig import instructions
from looprig.content import ScenarioFile, accepts
from looprig.counted.process import ask
from looprig.growth.reading import Growth, Ratios, ratios, word_of
from looprig.growth.sizes import Stops, stops_of
from looprig.home import Party
from looprig.instructions.valgrind import Window, count
from looprig.progress import Tell
from looprig.scenario import Scenario
from looprig.verdicts import Verdict
from looprig.workload import pack

WORKER = "looprig.growth.worker"

METRICS = ("tokens", "retained_bytes", "instructions", "cpu_time")
"""What can be asked for, exact ones first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many times its first costs a message's last cost may be, as ratios above 1."""

    tokens: float = 1.10
    retained_bytes: float = 1.10
    instructions: float = 1.10
    cpu_time: float = 1.25

    def of(self, metric: str) -> float:
        """Return the limit of a metric."""
        return float(getattr(self, metric))


@dataclass(frozen=True, slots=True)
class Plan:
    """How growth is measured.

    ``first`` is the smallest size, in messages; the largest is the scenario's. ``conversations`` are timed to begin
    with, and at most ``conversations_max``. ``tokens`` names the token counter, ``seed`` draws the cores.
    """

    metrics: tuple[str, ...] = METRICS
    limits: Limits = field(default_factory=Limits)
    first: int = 64
    conversations: int = 8
    conversations_max: int = 64
    tokens: str = "estimate"
    seed: int = 1


def growth_of(
    party: Party, file: ScenarioFile, seed: int, parameters: Mapping[str, str], plan: Plan, tell: Tell
) -> list[Growth]:
    """Make the scenario of *seed*, with those of the *parameters* (as text) that it has, and judge by it.

    Raises:
        ContentError: where the scenario cannot be made, or is too short to see growth.
        LoopError: where the loop cannot be had or played.
    """
    mine = {name: text for name, text in parameters.items() if accepts(file, name)}
    return judge(party, file.make(seed, mine), plan, tell)


def judge(party: Party, scenario: Scenario, plan: Plan, tell: Tell) -> list[Growth]:
    """Return how each of the plan's metrics grows; one that cannot be had here is undecided, and says why.

    Raises:
        LoopError: where the loop cannot be had or played.
        TooShort: where the scenario is too short to see growth.
    """
    measuring = _Measuring(party, scenario, plan, stops_of(scenario.turns, plan.first))
    found = []
    for number, metric in enumerate(plan.metrics, 1):
        found.append(_MEASURES[metric](measuring))
        tell.step(number, metric)
    return found


@dataclass
class _Measuring:
    """One loop and one scenario; what two metrics need is measured once."""

    party: Party
    scenario: Scenario
    plan: Plan
    stops: Stops

    @cached_property
    def packed(self) -> bytes:
        return pack(self.scenario)

    @cached_property
    def watched(self) -> Sequence[Mapping[str, float]]:
        """The metrics of a run up to each stop."""
        told: Sequence[Mapping[str, float]] = self.asked("watched", tokens=self.plan.tokens)["watched"]
        return told

    def asked(self, what: str, **more: Any) -> dict[str, Any]:
        question = {"what": what, "turns": self.stops.turns, **more}
        return ask(self.party, WORKER, question, [self.packed])

    def exact(self, metric: str, unit: str, costs: Sequence[float], messages: Sequence[float]) -> Growth:
        return self.noisy(metric, unit, [costs], messages)

    def noisy(self, metric: str, unit: str, all_costs: Sequence[Sequence[float]], messages: Sequence[float]) -> Growth:
        """Return the growth of costs that several conversations had, of each the costs at the same sizes."""
        found, limit = ratios(all_costs), self.plan.limits.of(metric)
        costs = [median(values) for values in zip(*all_costs, strict=True)]
        return Growth(
            self.scenario.name,
            metric,
            unit,
            tuple(messages),
            self.stops.messages[-len(costs) :],
            tuple(costs),
            math.exp(found.whole.estimate),
            limit,
            found.verdict(limit),
            word_of(costs, found, limit),
            _interval(found) if len(all_costs) > 1 else None,
            f"{len(all_costs)} conversations" if len(all_costs) > 1 else "exact",
            tuple(tuple(costs) for costs in all_costs),
        )

    def per_message(self, totals: Sequence[float]) -> list[float]:
        """Return the cost per message in each doubling, from the totals at the stops."""
        steps = zip(totals, totals[1:], self.stops.spans(), strict=False)
        return [(later - sooner) / span for sooner, later, span in steps]


def _interval(found: Ratios) -> tuple[float, float]:
    return math.exp(found.whole.lower), math.exp(found.whole.upper)


def _tokens(this: _Measuring) -> Growth:
    costs = this.per_message([metrics["tokens_sent"] for metrics in this.watched])
    return this.exact("tokens", "tokens", costs, this.stops.middles())


def _retained(this: _Measuring) -> Growth:
    """Weigh what is kept by each message held; a history that grows is what the other metrics are about."""
    costs = [metrics["retained_bytes"] / max(1, metrics["history_messages_final"]) for metrics in this.watched]
    return this.exact("retained_bytes", "bytes", costs, this.stops.messages)


def _instructions(this: _Measuring) -> Growth:
    reason = instructions.missing()
    if reason is not None:
        limit = this.plan.limits.instructions
        return Growth(
            this.scenario.name, "instructions", "instructions", (), (), (), None, limit, Verdict.UNDECIDED, "unclear",
            note=reason,
        )  # fmt: skip
    (counted,) = count(this.party, [this.packed], [Window(0, 1, this.stops.turns)], 0)
    costs = [part / span for part, span in zip(counted.parts[1:], this.stops.spans(), strict=True)]
    return this.exact("instructions", "instructions", costs, this.stops.middles())


def _cpu_time(this: _Measuring) -> Growth:
    plan = this.plan
    read: list[list[int]] = []
    wanted = plan.conversations
    while True:
        read += this.asked("clocked", conversations=wanted - len(read), seed=plan.seed + len(read))["clocked"]
        all_costs = [[ns / 1000 for ns in this.per_message(clock)] for clock in read]
        found = this.noisy("cpu_time", "us", all_costs, this.stops.middles())
        if found.verdict is not Verdict.UNDECIDED or wanted * 2 > plan.conversations_max:
            return found
        wanted *= 2


_MEASURES: Mapping[str, Callable[[_Measuring], Growth]] = {
    "tokens": _tokens,
    "retained_bytes": _retained,
    "instructions": _instructions,
    "cpu_time": _cpu_time,
}
