"""A learner from a library: gradient boosted trees, from scikit-learn (``pip install 'looprig[learn]'``).

Trees that are boosted are what does best on tables of a few thousand rows (Grinsztajn, Oyallon and Varoquaux, Why do
tree-based models still outperform deep learning on tabular data?, 2022), and a trim is a step that a tree can say and a
weighted sum cannot. Of the libraries scikit-learn is the best kept, and its trees need no setting to do well.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from random import Random
from typing import Any

from looprig.prediction.features import Known, Size, growth
from looprig.prediction.predictor import at_least_nothing

MISSING = "scikit-learn is not installed here: pip install 'looprig[learn]'"


def missing() -> str | None:
    """Return why the learner cannot run here, with what to do; None where it can."""
    return MISSING if importlib.util.find_spec("sklearn") is None else None


def version() -> str:
    """Return the library's name and version, for whoever reads the figures."""
    import sklearn

    return f"scikit-learn {sklearn.__version__}"


class Boosting:
    """`sklearn.ensemble.HistGradientBoostingRegressor` on the growth, one for messages and one for tokens.

    All settings are the library's own, but for three. Predictors are scored by absolute error, so that is what it
    minimises. It learns from all turns and keeps none back, and it does so in one thread: its figures repeat, and its
    CPU time is that of its work and not of threads that wait for each other.

    Growths are whole numbers, and where most of them are equal the absolute error has the same slope at all of them: no
    split would gain anything, and nothing would be learned. So they are jittered by less than a half, and predictions
    are rounded (Machado and Santos Silva, Quantiles for Counts, JASA 100, 2005).
    """

    name = "boosting"
    text = "it grows by what gradient boosted trees make of all features"

    def __init__(self) -> None:
        import sklearn.ensemble  # first: a controller knows the threads of those libraries alone that are loaded
        from threadpoolctl import ThreadpoolController

        self._regressor = sklearn.ensemble.HistGradientBoostingRegressor
        self._threads = ThreadpoolController()
        self._models: list[Any] = []

    def fit(self, turns: Sequence[Known], ends: Sequence[Size]) -> None:
        """Grow the trees."""
        table = [turn.features for turn in turns]
        grown = [growth(turn.start, end) for turn, end in zip(turns, ends, strict=True)]
        with self._threads.limit(limits=1):
            self._models = [
                self._regressor(loss="absolute_error", early_stopping=False, random_state=1).fit(
                    table, _jittered(column)
                )
                for column in zip(*grown, strict=True)
            ]

    def predict(self, turns: Sequence[Known]) -> Sequence[Size]:
        """Return each turn's start and the trees' sums."""
        table = [turn.features for turn in turns]
        with self._threads.limit(limits=1):
            grown = zip(*(model.predict(table).tolist() for model in self._models), strict=True)
        return [
            at_least_nothing(turn.start.messages + round(messages), turn.start.tokens + round(tokens))
            for turn, (messages, tokens) in zip(turns, grown, strict=True)
        ]


def _jittered(growths: Sequence[float]) -> list[float]:
    random = Random("jitter")
    return [growth + random.uniform(-0.5, 0.5) for growth in growths]
