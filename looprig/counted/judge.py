"""Judges two loops by what each of them does, counted: one count decides, and a second one says that it repeats."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from looprig.counted.process import all_at_once, ask
from looprig.home import Job, Party
from looprig.progress import Tell
from looprig.verdicts import Comparison, Layer, Verdict

WORKER = "looprig.counted.worker"

METRICS = {"calls": ("calls_per_message", "calls"), "bulk_bytes": ("bulk_bytes_per_message", "bytes")}
"""What is counted, with the metric that it becomes and that metric's unit."""

HASH_SEEDS = (0, 1)
"""Those of the two counts of a side: what depends on the hash seed is no count to go by."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``limit``: the change, as a share, that counts as none; a renamed attribute may take one call more."""

    limit: float = 0.005


def judge(jobs: Sequence[Job], plan: Plan, tell: Tell) -> list[Comparison]:
    """Count calls and bulk bytes a message, of both sides of each job.

    A side whose two counts differ (threads, real timers, hash order) is not judged: the verdict is undecided.

    Raises:
        LoopError: where a loop cannot be had or played.
    """
    found = []
    for number, job in enumerate(jobs, 1):
        parties = (job.before, job.after)
        work = [functools.partial(_count, party, job.packed_scenario, seed) for party in parties for seed in HASH_SEEDS]
        counts = list(all_at_once(work))
        half = len(HASH_SEEDS)
        found += [_compared(job.scenario_name, what, counts[:half], counts[half:], plan) for what in METRICS]
        tell.step(number, f"{job.scenario_name}, calls and bytes")
    return found


def _count(party: Party, packed: bytes, hash_seed: int) -> Mapping[str, int]:
    return ask(party, WORKER, {}, [packed], hash_seed=hash_seed)


def _compared(
    scenario: str, what: str, before: Sequence[Mapping[str, int]], after: Sequence[Mapping[str, int]], plan: Plan
) -> Comparison:
    metric, unit = METRICS[what]
    values = [side[0][what] / side[0]["messages"] for side in (before, after)]
    sides = {"before": before, "after": after}
    unsteady = [name for name, side in sides.items() if len({count[what] for count in side}) > 1]
    ratio = ratio_of(*values)
    if unsteady:
        verdict, note = Verdict.UNDECIDED, f"two counts of {' and of '.join(unsteady)} differ: not judged"
    else:
        verdict, note = judged(ratio, plan.limit), ""
    return Comparison(
        scenario, metric, values[0], values[1], verdict, Layer.COUNTERS, unit, ratio, method="counted", note=note
    )


def ratio_of(before: float, after: float) -> float:
    """Return after by before; where there was nothing before, 1 if there is nothing now either, and infinity if not."""
    return after / before if before else float("inf") if after else 1.0


def judged(ratio: float, limit: float) -> Verdict:
    """Return what an exact ratio of after to before says, where a change of up to *limit* counts as none."""
    if ratio > 1 + limit:
        return Verdict.REGRESSED
    return Verdict.IMPROVED if ratio < 1 - limit else Verdict.UNCHANGED
