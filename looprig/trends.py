"""Where a series of values changed for good: rank-CUSUM with a permutation test, and every change of an exact value.

Ranks, so that a spike is one rank among many; a permutation test, so that nothing is assumed of the noise but that
its order means nothing; a least magnitude and a least length, so that what is found is worth a look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, log, sqrt
from operator import mul
from random import Random
from statistics import median
from typing import NamedTuple

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


class _Rule(NamedTuple):
    alpha: float
    magnitude: float
    segment: int
    seed: int


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
    found = dict(_split(values, 0, len(values), _Rule(alpha, magnitude, segment, seed)))
    edges = [0, *sorted(found), len(values)]
    made = [
        Change(at, median(values[start:at]), median(values[at:end]), found[at])
        for start, at, end in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    # A step may shrink once the parts beside it are split themselves.
    return [change for change in made if _moves(change.before, change.after, magnitude)]


def _split(values: Sequence[float], start: int, end: int, rule: _Rule) -> list[tuple[int, float]]:
    """Return the index and p of each change between *start* and *end*."""
    for first, last in _stretches(start, end, 4 * rule.segment):
        found = _change(values[first:last], rule)
        if found is not None:
            at, p = first + found[0], found[1]
            return [*_split(values, start, at, rule), (at, p), *_split(values, at, end, rule)]
    return []


def _stretches(start: int, end: int, least: int) -> Iterator[tuple[int, int]]:
    """Yield the whole, and then three halves of it that overlap, where they have *least* values.

    On the whole a rise that is followed by a fall looks like nothing. Shorter stretches would find shorter ones, and
    see more where there is nothing (seeded binary segmentation: Kovács, Bühlmann, Li and Munk, Biometrika 2023).
    """
    yield start, end
    length = (end - start) / 2
    if length >= least:
        for half in range(3):
            yield start + round(half * length / 2), start + round(half * length / 2 + length)


def _change(part: Sequence[float], rule: _Rule) -> tuple[int, float] | None:
    """Return where *part* changes once, and p; None where it does not."""
    if len(part) < 2 * rule.segment:
        return None
    cut = _place(_without_spikes(part), rule.segment)
    if cut is None or not _moves(median(part[:cut]), median(part[cut:]), rule.magnitude):
        return None
    p = _p(ranks(part), rule)
    return None if p is None else (cut, p)


def _moves(before: float, after: float, magnitude: float) -> bool:
    return before != after and abs(after - before) >= magnitude * abs(before)


def _weights(size: int, least: int) -> list[float]:
    """Return what the sums of a series' first values are multiplied with, to be alike where the order means nothing.

    Up to every cut that leaves *least* values on either side; 0 for the others. These are the weights of a two-sample
    test, so that a cut near an end counts as much as one in the middle.
    """
    return [1 / sqrt(cut * (size - cut)) if least <= cut <= size - least else 0.0 for cut in range(1, size)]


def _clearness(centred: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return for each cut how clearly the means on its two sides differ: the weighted CUSUM."""
    return list(map(mul, map(abs, accumulate(centred)), weights))


def _centred(values: Sequence[float]) -> list[float]:
    mean = sum(values) / len(values)
    return [value - mean for value in values]


def _place(part: Sequence[float], segment: int) -> int | None:
    """Return where the change is: the cut that most of the likelihood lies near, and not the single likeliest one.

    Under noise neighbouring cuts are about as likely, and the likeliest is often one that a spike made so. The
    profile likelihood of a cut between two normal levels depends on its clearness alone. None where the change lies
    so near an end that one side has less than *segment* values.
    """
    size = len(part)
    centred = _centred(part)
    spread = sum(value * value for value in centred)
    clear = _clearness(centred, _weights(size, 1))
    if not spread:
        return None
    logs = [-size / 2 * log(max(spread - size * each**2, 1e-9 * spread)) for each in clear]
    top = max(logs)
    near = [exp(each - top) for each in logs]
    reach = len(NEAR) // 2
    padded = [0.0] * reach + near + [0.0] * reach
    mass = [sum(map(mul, NEAR, padded[index:])) for index in range(len(near))]
    cut = mass.index(max(mass)) + 1
    return cut if segment <= cut <= size - segment else None


def _without_spikes(values: Sequence[float]) -> Sequence[float]:
    """Return the values with those far from the median drawn in, so that one of them cannot say where a change is."""
    middle = median(values)
    reach = SPIKE * median(abs(value - middle) for value in values)
    if not reach:
        return ranks(values)  # most values are equal
    return [min(max(value, middle - reach), middle + reach) for value in values]


def _p(part: Sequence[float], rule: _Rule) -> float | None:
    """Return the share of shuffled orders with a cut as clear; None as soon as it cannot be below alpha any more."""
    centred, weights = _centred(part), _weights(len(part), rule.segment)
    strength = max(_clearness(centred, weights)) - 1e-9
    shuffles = int(2 / rule.alpha) - 1
    allowed = rule.alpha * (shuffles + 1)
    draw, as_clear = Random(rule.seed).random, 1  # the order that was observed is one of them
    for _ in range(shuffles):
        keys = [draw() for _ in centred]
        shuffled = [centred[index] for index in sorted(range(len(keys)), key=keys.__getitem__)]
        as_clear += max(_clearness(shuffled, weights)) >= strength
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
