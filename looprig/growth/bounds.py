"""The Hodges-Lehmann estimate and its exact bounds, which no single wild value can move.

J. L. Hodges and E. L. Lehmann, Estimates of location based on rank tests, Annals of Mathematical Statistics 34 (1963).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple


class Located(NamedTuple):
    """Where values lie: a lower bound, the estimate, an upper bound."""

    lower: float
    estimate: float
    upper: float


def located(values: Sequence[float], alpha: float) -> Located:
    """Return the median of all means of two values, and bounds of which each is wrong in at most *alpha* of cases.

    The values have to be independent and spread symmetrically about the same place; how widely need not be known.
    With so few values that no bound has that confidence, it is infinite.
    """
    means = sorted((one + other) / 2 for index, one in enumerate(values) for other in values[index:])
    rank = _rank(len(values), alpha)
    if rank == 0:
        return Located(float("-inf"), median(means), float("inf"))
    return Located(means[rank - 1], median(means), means[-rank])


def _rank(count: int, alpha: float) -> int:
    """Return the largest k with P(W < k) <= alpha, W the sum of the ranks of positive signs among *count*."""
    ways = [1]
    for rank in range(1, count + 1):
        longer = [*ways, *[0] * rank]
        for total, number in enumerate(ways):
            longer[total + rank] += number
        ways = longer
    below, found = 0, 0
    for total, number in enumerate(ways):
        below += number
        if below > alpha * 2**count:
            break
        found = total + 1
    return found
