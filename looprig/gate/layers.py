"""The layers behind the exact metrics: what looks at both sides again, each in processes of its own.

They need both sides to run now, on one machine. So they look where the baseline is a git revision, and say of any
other baseline that they did not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from looprig import content, counted, growth, instructions, paired
from looprig.counted.judge import METRICS as COUNTED
from looprig.gate.checks import Check, Status
from looprig.gate.config import FILE, TABLE, Config, ConfigError, CpuTime, Instructions, Judge
from looprig.home import Job, Party
from looprig.instructions.judge import METRIC as INSTRUCTIONS
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
    counts, cpu_time = config.counts, config.cpu_time
    return [
        Looker(
            Layer.COUNTERS,
            "calls and bulk memory",
            f"margin {counts.limit_percent:g} %",
            tuple(metric for metric, _ in COUNTED.values()),
            counts.judge,
            None,
            lambda jobs, tell: counted.judge(jobs, counted.Plan(counts.limit_percent / 100), tell),
        ),
        Looker(
            Layer.INSTRUCTIONS,
            "instructions",
            f"margin {config.instructions.limit_percent:g} %",
            (INSTRUCTIONS,),
            config.instructions.judge,
            instructions.missing(),
            lambda jobs, tell: instructions.judge(jobs, _instructions(config.instructions), tell),
        ),
        Looker(
            Layer.CPU_TIME,
            "CPU time",
            f"margin {cpu_time.margin_percent:g} %",
            (CPU_TIME,),
            cpu_time.judge,
            None,
            lambda jobs, tell: paired.judge(jobs, _pairs(cpu_time), tell),
        ),
    ]


def _instructions(wanted: Instructions) -> instructions.Plan:
    return instructions.Plan(limit=wanted.limit_percent / 100, limit_async=wanted.limit_async_percent / 100)


def _pairs(wanted: CpuTime) -> paired.Plan:
    return paired.Plan(
        margin=wanted.margin_percent / 100,
        reach=wanted.reach_percent / 100,
        budget_s=wanted.budget_s,
        control=wanted.control,
    )


def growths(config: Config, party: Party, tell: Tell) -> list[Check]:
    """Return how costs grow in the loop of *party*, as checks: none where the configuration has no limits for that.

    Raises:
        ConfigError: where the scenario is not there, or too short.
        LoopError: where the loop cannot be had or played.
    """
    if config.growth is None:
        return []
    allowed = config.growth.limits
    plan = growth.Plan(metrics=tuple(allowed), limits=growth.Limits(**allowed), tokens=config.tokens)
    try:
        paths = [Path(path) for path in config.scenario_paths]
        settings = {"messages": str(config.growth.messages)}
        scenario = content.make_scenario(config.growth.scenario, config.seed, settings, paths)
        found = growth.judge(party, scenario, plan, tell)
    except content.ContentError as error:
        raise ConfigError(f"{FILE}: {TABLE}.growth: {error}") from error
    label = f"{config.growth.scenario} messages={config.growth.messages}"
    return [_grown(each, replace(each.comparison(), scenario=label)) for each in found]


def _grown(found: growth.Growth, comparison: Comparison) -> Check:
    return Check(
        comparison.scenario,
        comparison.metric,
        STATUSES.get(found.verdict, Status.PASSED),
        why="grows beyond its limit" if found.verdict is Verdict.REGRESSED else _why(comparison),
        limit=f"max {found.limit:g} times",
        comparison=comparison,
    )


STATUSES = {Verdict.REGRESSED: Status.EXCEEDED, Verdict.UNDECIDED: Status.UNDECIDED}


def judged(looker: Looker, found: Sequence[Comparison]) -> list[Check]:
    """Return what a layer found as checks: a regression exceeds the limit that the layer has."""
    return [
        Check(
            each.scenario,
            each.metric,
            STATUSES.get(each.verdict, Status.PASSED),
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
