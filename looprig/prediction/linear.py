"""Least squares over all features: the growth of a turn as a weighted sum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from statistics import fmean

from looprig.prediction.features import Known, Size, growth
from looprig.prediction.predictor import at_least_nothing

RIDGE = 1e-6
"""Share of the number of turns by which the diagonal is raised, so that features which always go together (or never
change) have one solution, the smallest."""


class Linear:
    """Least squares on standardised features, by the normal equations (Hastie, Tibshirani and Friedman, The
    Elements of Statistical Learning, 2nd ed., 3.2 and 3.4.1 for the ridge)."""

    name = "linear"
    text = "it grows by a weighted sum of all features (least squares)"

    def __init__(self) -> None:
        self._centre: list[float] = []
        self._spread: list[float] = []
        self._weights: list[list[float]] = []
        """For messages and for tokens: the growth at the centre, then one weight a feature."""

    def fit(self, turns: Sequence[Known], ends: Sequence[Size]) -> None:
        """Solve the normal equations for both growths at once."""
        columns = list(zip(*(turn.features for turn in turns), strict=True))
        self._centre = [fmean(column) for column in columns]
        self._spread = [_spread(column, centre) or 1.0 for column, centre in zip(columns, self._centre, strict=True)]
        across = list(zip(*map(self._row, turns), strict=True))
        grown = [growth(turn.start, end) for turn, end in zip(turns, ends, strict=True)]
        targets = list(zip(*grown, strict=True))
        gram = _products(across)
        for index in range(1, len(gram)):
            gram[index][index] += RIDGE * len(turns)
        self._weights = solved(gram, [[_dot(one, target) for one in across] for target in targets])

    def predict(self, turns: Sequence[Known]) -> Sequence[Size]:
        """Return each turn's start and the weighted sum."""
        return [self._one(turn) for turn in turns]

    def _one(self, turn: Known) -> Size:
        row = self._row(turn)
        messages, tokens = (_dot(row, weights) for weights in self._weights)
        return at_least_nothing(turn.start.messages + messages, turn.start.tokens + tokens)

    def _row(self, turn: Known) -> list[float]:
        scaled = zip(turn.features, self._centre, self._spread, strict=True)
        return [1.0, *((value - centre) / spread for value, centre, spread in scaled)]


def _spread(column: Sequence[float], centre: float) -> float:
    return math.sqrt(sum((value - centre) ** 2 for value in column) / len(column))


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(map(mul, one, other))


def _products(columns: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the products of all pairs of columns; the matrix is symmetric, so half of them are computed."""
    half = [[_dot(one, other) for other in columns[: index + 1]] for index, one in enumerate(columns)]
    return [[half[max(row, column)][min(row, column)] for column in range(len(half))] for row in range(len(half))]


def solved(matrix: Sequence[Sequence[float]], sides: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return, for each right-hand side, the solution of *matrix* x = side, by elimination with pivots.

    Raises:
        ZeroDivisionError: where the matrix is singular.
    """
    size = len(matrix)
    rows = [[*row, *(side[index] for side in sides)] for index, row in enumerate(matrix)]
    for at in range(size):
        pivot = max(range(at, size), key=lambda index: abs(rows[index][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        rows[at] = [value / rows[at][at] for value in rows[at]]
        for index in range(size):
            factor = rows[index][at]
            if index != at and factor:
                rows[index] = [value - factor * above for value, above in zip(rows[index], rows[at], strict=True)]
    return [[rows[index][size + number] for index in range(size)] for number in range(len(sides))]
