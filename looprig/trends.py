"""Where a series of values changed for good: rank-CUSUM with a permutation test, and every change of an exact value.

Ranks, so that a spike is one rank among many; a permutation test, so that nothing is assumed of the noise but that
its order means nothing; a least magnitude and a least length, so that what is found is worth a look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, log, sqrt
from operator import mul
from random import Random
from statistics import median

ALPHA = 0.001
MAGNITUDE = 0.02
SEGMENT = 4

SPIKE = 3 * 1.4826
"""Median deviations from the median, three standard deviations where values are normal; beyond, a value is a spike."""

NEAR = (1.0, 1.0, 1.1, 1.2, 1.1, 1.0, 1.0)
"""How much the likelihood of a cut counts for the cuts up to three runs away: nearly all of it."""


@dataclass(frozen=True, slots=True)
class Change:
    """From the value at ``index`` on the series is another: its level before and after, and how sure that is.

    The levels are medians up to the next change on either side. ``p`` is the chance of so clear a change where the
    order of the values means nothing; None where the values are exact.
    """

    index: int
    before: float
    after: float
    p: float | None = None

    @property
    def ratio(self) -> float | None:
        """After by before; None where before is 0."""
        return self.after / self.before if self.before else None


def exact_changes(values: Sequence[float]) -> list[Change]:
    """Return every place where an exact value is not what it was in the run before."""
    return [
        Change(index, values[index - 1], values[index])
        for index in range(1, len(values))
        if values[index] != values[index - 1]
    ]


def changes(
    values: Sequence[float],
    *,
    alpha: float = ALPHA,
    magnitude: float = MAGNITUDE,
    segment: int = SEGMENT,
    seed: int = 1,
) -> list[Change]:
    """Return the changes of a noisy series, first to last.

    A change has to be one with p below *alpha*, to move the median by at least the share *magnitude* of what it was,
    and to have *segment* values on either side. What is found is looked at again, each part by itself. With the
    defaults some seven values behind a clear step show it: this says when something began, not whether the newest
    run is slower.
    """
    found = dict(_split(values, 0, len(values), alpha, magnitude, segment, seed))
    edges = [0, *sorted(found), len(values)]
    made = [
        Change(at, median(values[start:at]), median(values[at:end]), found[at])
        for start, at, end in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    # A step may shrink once the parts beside it are split themselves.
    return [change for change in made if _moves(change.before, change.after, magnitude)]


def _split(
    values: Sequence[float], start: int, end: int, alpha: float, magnitude: float, segment: int, seed: int
) -> list[tuple[int, float]]:
    """Return the index and p of each change between *start* and *end*."""
    if end - start < 2 * segment:
        return []
    part = ranks(values[start:end])
    clear = clearness(part, segment)
    if not max(clear):
        return []
    at = start + _place(_without_spikes(values[start:end]), segment)
    if not _moves(median(values[start:at]), median(values[at:end]), magnitude):
        return []
    p = _p(part, max(clear), alpha, segment, Random(seed))
    if p is None:
        return []
    rest = (alpha, magnitude, segment, seed)
    return [*_split(values, start, at, *rest), (at, p), *_split(values, at, end, *rest)]


def _moves(before: float, after: float, magnitude: float) -> bool:
    return before != after and abs(after - before) >= magnitude * abs(before)


def clearness(part: Sequence[float], segment: int = SEGMENT) -> list[float]:
    """Return, for each cut that leaves *segment* values on either side, how clearly the means beside it differ.

    This is the CUSUM, each value of it by its standard deviation where the order means nothing (that of a two-sample
    test), so that a cut near an end counts as much as one in the middle.
    """
    size = len(part)
    mean = sum(part) / size
    sums = list(accumulate(part))
    return [
        abs(sums[index - 1] - index * mean) / sqrt(index * (size - index))
        for index in range(segment, size - segment + 1)
    ]


def _place(part: Sequence[float], segment: int) -> int:
    """Return where the change is: the cut that most of the likelihood lies near, and not the single likeliest one.

    Under noise neighbouring cuts are about as likely, and the likeliest is often one that a spike made so. The
    profile likelihood of a cut between two normal levels depends on its clearness alone.
    """
    size = len(part)
    mean = sum(part) / size
    spread = sum((value - mean) ** 2 for value in part)
    logs = [-size / 2 * log(max(spread - size * each**2, 1e-9 * spread)) for each in clearness(part, segment)]
    top = max(logs)
    near = [exp(each - top) for each in logs]
    reach = len(NEAR) // 2
    padded = [0.0] * reach + near + [0.0] * reach
    mass = [sum(map(mul, NEAR, padded[index:])) for index in range(len(near))]
    return segment + mass.index(max(mass))


def _without_spikes(values: Sequence[float]) -> Sequence[float]:
    """Return the values with those far from the median drawn in, so that one of them cannot say where a change is."""
    middle = median(values)
    reach = SPIKE * median(abs(value - middle) for value in values)
    if not reach:
        return ranks(values)  # most values are equal
    return [min(max(value, middle - reach), middle + reach) for value in values]


def _p(part: Sequence[float], strength: float, alpha: float, segment: int, rng: Random) -> float | None:
    """Return the share of shuffled orders with a cut as clear; None as soon as it cannot be below *alpha* any more."""
    shuffles = int(2 / alpha) - 1
    allowed = alpha * (shuffles + 1)
    shuffled = list(part)
    as_clear = 1  # the order that was observed is one of them
    for _ in range(shuffles):
        rng.shuffle(shuffled)
        as_clear += max(clearness(shuffled, segment)) >= strength - 1e-9
        if as_clear >= allowed:
            return None
    return as_clear / (shuffles + 1)


def ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or values[order[end]] != values[order[start]]:
            for index in order[start:end]:
                found[index] = (start + 1 + end) / 2
            start = end
    return found
