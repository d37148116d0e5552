"""Judges stored runs: two samples that are no pairs, and often no evidence.

A pair is two measurements side by side, on one core, in the same second. What a machine is about that day cancels out.
Stored runs of two days, or of two halves of an hour, have nothing to cancel it with: one run a side says nothing of
noise, and five runs after five others say nothing of what happened to the machine in between. So these stay undecided.
Runs that were made in turn on one machine are two samples of the same conditions, and are judged by Welch's t
(Welch 1947, with Satterthwaite's degrees of freedom, rounded down) on the logarithms of the fastest rounds, with the
wild ones brought in, and the margin and reach of the rule for pairs. It looks once, at all runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log, sqrt
from statistics import fmean, median, stdev

from looprig.benchmarks.saved import Run, order
from looprig.paired.quantile import t_quantile
from looprig.paired.rule import Limits, verdict_between, winsorised
from looprig.verdicts import Comparison, Layer, Verdict

METRIC = "fastest_round_us"

LIMITS = Limits()

ENOUGH = 5
"""Runs a side: the fewest at which the rule for pairs looks."""

METHOD = "the fastest round of each stored run, Welch's t on logarithms"

IN_TURN = (
    "run both sides in turn (before, after, before, …) five times or more and give all files, "
    "or let looprig time pairs: looprig compare --benchmarks PATH --rev A --rev B"
)


def judge_saved(before: Sequence[Run], after: Sequence[Run], limits: Limits = LIMITS) -> list[Comparison]:
    """Judge every benchmark of either side; alpha of *limits* is the rate of errors of all of them together."""
    names = list(dict.fromkeys(name for run in (*before, *after) for name in run.seconds))
    shared = limits.shared(len(names))
    return [_judged(name, before, after, shared) for name in names]


def _judged(name: str, before: Sequence[Run], after: Sequence[Run], limits: Limits) -> Comparison:
    mine = [[run for run in side if name in run.seconds] for side in (before, after)]
    seconds = [[run.seconds[name] for run in side] for side in mine]
    found = Comparison(
        name,
        METRIC,
        _microseconds(seconds[0]),
        _microseconds(seconds[1]),
        Verdict.UNDECIDED,
        Layer.CPU_TIME,
        "us",
        exp(_log_ratio(seconds)) if all(seconds) else None,
        method=METHOD,
        note=_no_evidence(mine),
    )
    if found.note:
        return found
    low, high = interval([log(value) for value in seconds[0]], [log(value) for value in seconds[1]], limits.alpha)
    note = f"{len(mine[0])} and {len(mine[1])} runs in turn, margin {limits.margin:.3g}, reach {limits.reach:.3g}"
    return replace(found, verdict=verdict_between(low, high, limits), interval=(exp(low), exp(high)), note=note)


def _microseconds(seconds: Sequence[float]) -> float | None:
    return median(seconds) * 1e6 if seconds else None


def _log_ratio(seconds: Sequence[Sequence[float]]) -> float:
    before, after = (fmean(winsorised([log(value) for value in side])) for side in seconds)
    return after - before


def _no_evidence(sides: Sequence[Sequence[Run]]) -> str:
    """Say why runs are no evidence, and what would be; empty where they are."""
    before, after = sides
    if not before or not after:
        return f"{'BEFORE' if not before else 'AFTER'} has no run of it"
    if len({run.same_as for run in (*before, *after)}) > 1:
        return "the runs are of unlike machines or Pythons, whose times are never compared"
    if min(len(before), len(after)) < ENOUGH:
        return (
            f"{len(before)} and {len(after)} stored runs: how much they differ without any change is unknown "
            f"below {ENOUGH} a side; {IN_TURN}"
        )
    if order(before, after) < min(len(before), len(after)):
        return (
            "the runs were not made in turn, so what changed on the machine in between looks like a change of the "
            f"code; {IN_TURN}"
        )
    return ""


def interval(before: Sequence[float], after: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return bounds of the difference of two means, each of which is wrong with probability *alpha*.

    Raises:
        ValueError: where a side has fewer than two values.
    """
    if min(len(before), len(after)) < 2:
        raise ValueError("a side needs two values or more")
    calm = [winsorised(side) for side in (before, after)]
    means = [fmean(side) for side in calm]
    errors = [stdev(side) ** 2 / len(side) for side in calm]
    total = sum(errors)
    if total == 0.0:
        return means[1] - means[0], means[1] - means[0]
    # In shares of the total: the squares of very small errors would be 0.
    freedom = 1 / sum((error / total) ** 2 / (len(side) - 1) for error, side in zip(errors, calm, strict=True))
    reach = t_quantile(1.0 - alpha, max(1, int(freedom))) * sqrt(total)
    return means[1] - means[0] - reach, means[1] - means[0] + reach
