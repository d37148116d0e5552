"""What a predictor is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from looprig.prediction.features import Known, Size


class Predictor(Protocol):
    """Predicts how long the history will be when a turn ends. It is shown what is known at the start, and no more."""

    name: str
    text: str
    """What it does, in a few words."""

    def fit(self, turns: Sequence[Known], ends: Sequence[Size]) -> None:
        """Learn from turns that are over, at least one, each with its end; what was learned before is replaced."""

    def predict(self, turns: Sequence[Known]) -> Sequence[Size]:
        """Return the predicted end of each turn."""
        ...


def at_least_nothing(messages: float, tokens: float) -> Size:
    """Return a prediction that a history can have."""
    return Size(max(0.0, messages), max(0.0, tokens))
