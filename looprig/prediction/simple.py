"""Predictors that need next to no learning: the last value, the mean of what turns added, and that with the trim."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from looprig.prediction.features import NOTHING, Known, Size, growth
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
        self._first = NOTHING

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


class Sawtooth:
    """The history grows by what the turns of the session said so far, on average, and is trimmed as it was last time.

    Where that goes beyond the longest history that a turn has started or ended with, and a trim has been seen, it ends
    as long as the last trim left it; tokens fall in proportion. A session's first turn is as with `Mean`.
    """

    name = "sawtooth"
    text = "it grows by the mean of what turns said so far; beyond its longest it ends where the last trim left it"

    def __init__(self) -> None:
        self._first = Mean()

    def fit(self, turns: Sequence[Known], ends: Sequence[Size]) -> None:
        """Learn what a session's first turn is taken to grow by."""
        self._first.fit(turns, ends)

    def predict(self, turns: Sequence[Known]) -> Sequence[Size]:
        """Return each turn's start and what is said in a turn, or where a trim ends."""
        return [self._one(turn) if turn.turns else self._first.predict([turn])[0] for turn in turns]

    @staticmethod
    def _one(turn: Known) -> Size:
        messages = turn.start.messages + turn["said_messages_mean"]
        tokens = turn.start.tokens + turn["said_tokens_mean"]
        if turn["trims"] and messages > turn["peak"]:
            return Size(turn["trimmed_to"], tokens * turn["trimmed_to"] / messages)
        return Size(messages, tokens)
