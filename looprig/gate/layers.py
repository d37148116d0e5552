"""The layers behind the exact metrics: what looks at both sides again, each in processes of its own.

They need both sides to run now, on one machine. So they look where the baseline is a git revision, and say of any
other baseline that they did not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from looprig import paired
from looprig.gate.checks import Check, Status
from looprig.gate.config import Config, CpuTime, Judge
from looprig.paired import Job
from looprig.paired.judging import METRIC as CPU_TIME
from looprig.progress import Tell
from looprig.verdicts import Comparison, Layer, Verdict


@dataclass(frozen=True, slots=True)
class Looker:
    """A layer, the metrics that it judges, whether it is wanted, why it cannot look here, and how it looks.

    ``said`` is what reports call it, ``limit`` what counts as no change.
    """

    layer: Layer
    said: str
    limit: str
    metrics: Sequence[str]
    wanted: Judge
    missing: str | None
    look: Callable[[Sequence[Job], Tell], list[Comparison]]


def lookers(config: Config) -> list[Looker]:
    """Return the layers in the order in which they look."""
    return [
        Looker(
            Layer.CPU_TIME,
            "CPU time",
            f"margin {config.cpu_time.margin_percent:g} %",
            (CPU_TIME,),
            config.cpu_time.judge,
            None,
            lambda jobs, tell: paired.judge(jobs, _plan(config.cpu_time), tell),
        )
    ]


def _plan(wanted: CpuTime) -> paired.Plan:
    return paired.Plan(
        margin=wanted.margin_percent / 100,
        reach=wanted.reach_percent / 100,
        budget_s=wanted.budget_s,
        control=wanted.control,
    )


def judged(looker: Looker, found: Sequence[Comparison]) -> list[Check]:
    """Return what a layer found as checks: a regression exceeds the limit that the layer has."""
    statuses = {Verdict.REGRESSED: Status.EXCEEDED, Verdict.UNDECIDED: Status.UNDECIDED}
    return [
        Check(
            each.scenario,
            each.metric,
            statuses.get(each.verdict, Status.PASSED),
            why=_why(each),
            limit=looker.limit,
            comparison=each,
        )
        for each in found
    ]


def _why(found: Comparison) -> str:
    if found.verdict is Verdict.REGRESSED:
        return "worse than the baseline"
    return "could not be decided" if found.verdict is Verdict.UNDECIDED else ""


def not_judged(looker: Looker, why: str, scenarios: Sequence[str]) -> list[Check]:
    """Return the checks of a layer that did not look: undecided, where the configuration asks for it always."""
    if looker.wanted != "always":
        return []
    return [
        Check(
            scenario,
            metric,
            Status.UNDECIDED,
            why,
            comparison=Comparison(scenario, metric, None, None, Verdict.UNDECIDED, looker.layer),
        )
        for scenario in scenarios
        for metric in looker.metrics
    ]
