"""Predictors that need no learning: the last value, and the mean of what turns added so far."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from looprig.prediction.features import Known, Size, growth
from looprig.prediction.predictor import at_least_nothing


class LastValue:
    """The history ends as it starts: what every other predictor has to beat."""

    name = "last value"
    text = "the history ends as it starts"

    def fit(self, turns: Sequence[Known], ends: Sequence[Size]) -> None:
        """Learn nothing."""

    def predict(self, turns: Sequence[Known]) -> Sequence[Size]:
        """Return each turn's start."""
        return [turn.start for turn in turns]


class Mean:
    """The history grows by what it grew by in the turns of the session so far, on average, trims included.

    A session's first turn is taken to grow by the mean of all turns that were learned from.
    """

    name = "mean"
    text = "it grows by the mean of the session's turns so far, trims included"

    def __init__(self) -> None:
        self._first = Size(0, 0)

    def fit(self, turns: Sequence[Known], ends: Sequence[Size]) -> None:
        """Learn what a session's first turn is taken to grow by."""
        grown = [growth(turn.start, end) for turn, end in zip(turns, ends, strict=True)]
        self._first = Size(fmean(size.messages for size in grown), fmean(size.tokens for size in grown))

    def predict(self, turns: Sequence[Known]) -> Sequence[Size]:
        """Return each turn's start and the mean growth."""
        return [self._one(turn) for turn in turns]

    def _one(self, turn: Known) -> Size:
        grown = turn.grown if turn.turns else self._first
        return at_least_nothing(turn.start.messages + grown.messages, turn.start.tokens + grown.tokens)
