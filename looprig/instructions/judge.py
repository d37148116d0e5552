"""Judges two loops by the instructions that they take, seed by seed.

One hash seed is not enough: which names of a small dict collide depends on it, so that a renamed key moves a count by
up to one percent at any single seed, and not at all in the median. With the seed fixed a count repeats to the last
digit as long as no file comes or goes; the first seed is counted twice to see that it does.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from looprig.counted.judge import WORKER as COUNTED_WORKER
from looprig.counted.judge import judged
from looprig.counted.process import all_at_once, ask
from looprig.home import Job, Party
from looprig.instructions.valgrind import Count, Window, count, missing
from looprig.progress import Tell
from looprig.verdicts import Comparison, Layer, Verdict
from looprig.workload import messages_of, unpack

METRIC = "instructions_per_message"

STEADY = 0.1
"""By so much of the limit two counts of one side may differ. Threads and real timers do more than that. A file that
appears beside the loop's own does less: Python lists the folder, and all that it lays out later lies elsewhere."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How instructions are counted and judged.

    ``limit`` is the change, as a share, that counts as none in loops with a plain ``send``; ``limit_async`` that in
    loops whose ``send`` is a coroutine, since the event loop is counted with them. The window holds whole plays,
    and at least ``messages`` messages.
    """

    limit: float = 0.005
    limit_async: float = 0.01
    hash_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    messages: int = 200


@dataclass(frozen=True, slots=True)
class Counted:
    """One side: instructions a message by hash seed, by how much the first seed's second count is off, its kind."""

    by_seed: tuple[float, ...]
    off: float
    coroutine: bool


def judge(jobs: Sequence[Job], plan: Plan, tell: Tell) -> list[Comparison]:
    """Count the instructions a message of both sides of each job; where that cannot be done, they stay undecided.

    Raises:
        LoopError: where a loop cannot be had or played.
    """
    reason = missing()
    if reason is not None:
        return [_uncounted(job, reason) for job in jobs]
    tasks = [
        (side, pair, seed)
        for seed in (*plan.hash_seeds, plan.hash_seeds[0])
        for pair in _by_pair(jobs).items()
        for side in (0, 1)
    ]
    work = [
        functools.partial(_counted, parties[side], [jobs[index].packed_scenario for index in indexes], plan, seed)
        for side, (parties, indexes), seed in tasks
    ]
    _compile(jobs)
    counts: dict[tuple[int, int], list[Count]] = {}
    for number, ((side, (_, indexes), _), found) in enumerate(zip(tasks, all_at_once(work), strict=True), 1):
        for index, each in zip(indexes, found, strict=True):
            counts.setdefault((side, index), []).append(each)
        tell.step(number, "instructions")
    return [_judged(index, job, counts, plan) for index, job in enumerate(jobs)]


def _compile(jobs: Sequence[Job]) -> None:
    """Let each party play once unseen, so that none is counted while Python compiles its files for the first time."""
    first = {party: job.packed_scenario for job in jobs for party in (job.before, job.after)}
    for party, packed in first.items():
        ask(party, COUNTED_WORKER, {}, [packed])


def _judged(index: int, job: Job, counts: Mapping[tuple[int, int], Sequence[Count]], plan: Plan) -> Comparison:
    before, after = (_side(counts[side, index], job.packed_scenario, plan) for side in (0, 1))
    return _compared(job.scenario_name, before, after, plan)


def _by_pair(jobs: Sequence[Job]) -> dict[tuple[Party, Party], list[int]]:
    """Return the numbers of the jobs that have the same two parties.

    One process counts them for each side, the same ones in the same order on both: what was counted before, in the
    same process, moves a count by some parts in a million.
    """
    groups: dict[tuple[Party, Party], list[int]] = {}
    for index, job in enumerate(jobs):
        groups.setdefault((job.before, job.after), []).append(index)
    return groups


def _counted(party: Party, packed: Sequence[bytes], plan: Plan, seed: int) -> list[Count]:
    """Return a count of each scenario, all made by one process."""
    windows = [Window(number, _plays(scenario, plan)) for number, scenario in enumerate(packed)]
    return count(party, packed, windows, seed)


def _messages(packed: bytes) -> int:
    return sum(messages_of(turn) for turn in unpack(packed).turns)


def _plays(packed: bytes, plan: Plan) -> int:
    return -(-plan.messages // _messages(packed))


def _side(counts: Sequence[Count], packed: bytes, plan: Plan) -> Counted:
    """Return a side's counts a message; the last of *counts* is the first one again, by a process of its own."""
    messages = _plays(packed, plan) * _messages(packed)
    *totals, again = (each.parts[0] for each in counts)
    return Counted(tuple(total / messages for total in totals), abs(again / totals[0] - 1), counts[0].coroutine)


def _compared(scenario: str, before: Counted, after: Counted, plan: Plan) -> Comparison:
    ratios = [later / sooner for sooner, later in zip(before.by_seed, after.by_seed, strict=True)]
    limit = plan.limit_async if before.coroutine or after.coroutine else plan.limit
    sides = {"before": before, "after": after}
    unsteady = [name for name, side in sides.items() if side.off > limit * STEADY]
    changes = sorted((ratio - 1) * 100 for ratio in ratios)
    if unsteady:
        verdict, note = Verdict.UNDECIDED, f"two counts of {' and of '.join(unsteady)} differ: not judged"
    else:
        verdict = judged(median(ratios), limit)
        note = f"{changes[0]:+.3f} to {changes[-1]:+.3f} % over {len(ratios)} hash seeds; limit {limit:.1%}"
        if off := max(side.off for side in sides.values()):
            note += f"; repeats to {off * 1e6:,.1f} parts in a million"
    return Comparison(
        scenario,
        METRIC,
        median(before.by_seed),
        median(after.by_seed),
        verdict,
        Layer.INSTRUCTIONS,
        "instructions",
        median(ratios),
        method=f"callgrind, median over {len(ratios)} hash seeds",
        note=note,
    )


def _uncounted(job: Job, reason: str) -> Comparison:
    return Comparison(
        job.scenario_name,
        METRIC,
        None,
        None,
        Verdict.UNDECIDED,
        Layer.INSTRUCTIONS,
        "instructions",
        note=reason,
    )
