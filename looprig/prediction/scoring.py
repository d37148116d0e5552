"""How far off predictions are, and whether a predictor does better than another one.

Turns of one scenario resemble each other, so the scenario is what counts: each figure is taken within a scenario, and
is then the mean over scenarios, each of which counts the same. An interval draws whole scenarios.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist, fmean

NEAR = 0.05
"""A prediction within this share of the true length is near; a history that ends further above it was not expected."""

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Score:
    """How far off one predictor is in one scenario, for one target.

    ``mae`` is the mean absolute error and ``p90`` the error that nine of ten turns do not exceed, in the target's unit.
    ``relative`` is the sum of absolute errors by the sum of true lengths. ``near`` is the share of turns within `NEAR`
    of the truth, ``over`` that of turns whose history ended further above the prediction than that: what a window with
    that much room to spare would not have held.
    """

    turns: int
    mae: float
    p90: float
    relative: float
    near: float
    over: float


def score(truth: Sequence[float], predicted: Sequence[float]) -> Score:
    """Return how far off *predicted* is; there is at least one turn."""
    errors = sorted(abs(one - other) for one, other in zip(truth, predicted, strict=True))
    pairs = list(zip(truth, predicted, strict=True))
    return Score(
        turns=len(errors),
        mae=fmean(errors),
        p90=errors[math.ceil(0.9 * len(errors)) - 1],
        relative=sum(errors) / (sum(truth) or 1.0),
        near=fmean(abs(true - guess) <= NEAR * true for true, guess in pairs),
        over=fmean(true - guess > NEAR * true for true, guess in pairs),
    )


def mean_of(scores: Sequence[Score]) -> Score:
    """Return the mean over scenarios; ``turns`` are added up."""
    return Score(
        sum(each.turns for each in scores),
        *(fmean(getattr(each, name) for each in scores) for name in ("mae", "p90", "relative", "near", "over")),
    )


@dataclass(frozen=True, slots=True)
class Skill:
    """By which share a predictor's relative error is smaller than another's: 1 is perfect, 0 no better, below it worse.

    ``low`` and ``high`` are the ends of an interval of `CONFIDENCE`.
    """

    value: float
    low: float
    high: float

    @property
    def shown(self) -> int:
        """1 where it is shown to be better, -1 where it is shown to be worse, 0 where neither is."""
        return (self.low > 0) - (self.high < 0)


def skill(errors: Mapping[str, float], others: Mapping[str, float]) -> Skill:
    """Return the skill of a predictor over another, from their relative errors by scenario.

    The skill score of forecasts (Murphy, Monthly Weather Review 116, 1988) with the mean relative error; the interval
    is a percentile bootstrap that draws scenarios, the same for both, and is widened for their small number (expanded
    percentiles: Hesterberg, What Teachers Should Know about the Bootstrap, The American Statistician 69, 2015).
    """
    names = sorted(errors)
    random = Random("skill")
    drawn = sorted(
        _skill([(errors[name], others[name]) for name in random.choices(names, k=len(names))]) for _ in range(RESAMPLES)
    )
    tail = _tail(len(names))
    return Skill(
        _skill([(errors[name], others[name]) for name in names]),
        drawn[math.floor(tail * RESAMPLES)],
        drawn[math.ceil((1 - tail) * RESAMPLES) - 1],
    )


def _tail(scenarios: int) -> float:
    """Return the share of resamples that lies beyond each end of the interval."""
    freedom = max(1, scenarios - 1)
    wide = math.sqrt(scenarios / freedom) * _student((1 + CONFIDENCE) / 2, freedom)
    return NormalDist().cdf(-wide)


def _student(share: float, freedom: int) -> float:
    """Return the quantile of Student's distribution, right to two decimals from four degrees of freedom on.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5. With fewer degrees it is too small.
    """
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, 1))


def _skill(pairs: Sequence[tuple[float, float]]) -> float:
    mine, its = sum(one for one, _ in pairs), sum(other for _, other in pairs)
    if its:
        return 1 - mine / its
    return 0.0 if not mine else -math.inf
