"""Reads growth out of what a message costs in each doubling of a conversation.

A doubling holds exactly one rebuild of whatever is rebuilt now and then, so that such work, spread over the
messages that it serves, does not look like growth. No curve is fitted to decide: what a message costs in the last
doubling is held against what it cost in the first ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from looprig.growth.bounds import Located, located
from looprig.verdicts import Comparison, Layer, Verdict

FIRST = 3
"""So many doublings, or sizes, are the beginning; their median is what the last one is held against."""

ALPHA = 0.01


@dataclass(frozen=True, slots=True)
class Growth:
    """How one cost per message grows.

    ``messages`` is the conversation's length at each of ``costs`` (half-way through a doubling, or at its end where
    what is kept is weighed), and ``ends`` that at the end; of several conversations, costs are medians. ``ratio`` is
    the last cost by the first ones, with the bounds of 99 % each where costs are noisy. ``verdict`` is regressed
    where the limit is exceeded and the cost still grows, unchanged where not, and undecided where too little is known.
    ``raw`` has each conversation's costs.
    """

    scenario: str
    metric: str
    unit: str
    messages: tuple[float, ...]
    ends: tuple[int, ...]
    costs: tuple[float, ...]
    ratio: float | None
    limit: float
    verdict: Verdict
    word: str
    interval: tuple[float, float] | None = None
    note: str = ""
    raw: tuple[tuple[float, ...], ...] = ()

    @property
    def sentence(self) -> str:
        """What the growth means, for people."""
        if self.ratio is None:
            return self.note
        length = f"{self.ends[-1]:,} messages"
        if self.word in ("flat", "settled"):
            grown = "is flat" if self.word == "flat" else "grows at first and then no more,"
            return f"cost per message {grown} up to {length}"
        if self.word == "unclear":
            return f"whether cost per message grows up to {length} is not decided"
        share, slope = self.per_thousand()
        return f"each 1,000 messages of conversation add {_short(share)} % per message ({_short(slope)} {self.unit})"

    def per_thousand(self) -> tuple[float, float]:
        """Return what 1,000 further messages add to the cost of one: in percent of the first costs, and in its unit.

        It is the slope of the line through the costs by least squares.
        """
        middle, level = (sum(values) / len(values) for values in (self.messages, self.costs))
        square = sum((size - middle) ** 2 for size in self.messages)
        slope = sum((m - middle) * (c - level) for m, c in zip(self.messages, self.costs, strict=True)) / square
        begin = median(self.costs[:FIRST])
        return (1e5 * slope / begin if begin else math.inf, 1000 * slope)

    def comparison(self, before: Growth | None = None) -> Comparison:
        """Return the growth as a value of a comparison; of *before* only the figure is taken.

        The verdict is about this loop alone, by its limit: growth that was there before is no better for it. It is
        improved where *before* exceeded the limit and this loop does not.
        """
        verdict = self.verdict
        if before is not None and before.verdict is Verdict.REGRESSED and verdict is Verdict.UNCHANGED:
            verdict = Verdict.IMPROVED
        return Comparison(
            self.scenario,
            f"{self.metric}_growth",
            before.ratio if before is not None else None,
            self.ratio,
            verdict,
            Layer.GROWTH,
            "ratio",
            self.ratio,
            self.interval,
            f"last doubling by the first {FIRST}, limit {self.limit:g}" + (", 99 % bounds" if self.interval else ""),
            f"{self.word}: {self.sentence}" if self.ratio is not None else self.note,
        )


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


@dataclass(frozen=True, slots=True)
class Ratios:
    """What decides, as logarithms: the last cost by the first ones, and by the one before it."""

    whole: Located
    step: Located

    def verdict(self, limit: float) -> Verdict:
        """Regressed where the cost has grown beyond *limit* and is still growing; unchanged where one is not so.

        A loop whose window is filling up costs more with each message until it is full. That its cost no longer
        grows shows in the last doubling alone, which may then cost at most a fifth of what the limit allows more
        than the one before. Where cost grows in a line up to the limit, the last doubling adds more than twice that.
        """
        grown, growing = math.log(limit), math.log(1 + (limit - 1) / 5)
        if self.whole.lower > grown and self.step.lower > growing:
            return Verdict.REGRESSED
        if self.whole.upper <= grown or self.step.upper <= growing:
            return Verdict.UNCHANGED
        return Verdict.UNDECIDED


def ratios(conversations: Sequence[Sequence[float]]) -> Ratios:
    """Return the ratios of one exact count, or of several conversations, with bounds."""
    whole = [_log(costs[-1], median(costs[:FIRST])) for costs in conversations]
    step = [_log(costs[-1], costs[-2]) for costs in conversations]
    if len(conversations) == 1:
        return Ratios(Located(*whole * 3), Located(*step * 3))
    return Ratios(located(whole, ALPHA), located(step, ALPHA))


def _log(value: float, by: float) -> float:
    """Return the logarithm of a ratio of costs; nothing by nothing has not grown."""
    if value <= 0:
        return 0.0 if by <= 0 else -math.inf
    return math.log(value / by) if by > 0 else math.inf


def word_of(costs: Sequence[float], found: Ratios, limit: float) -> str:
    """Return how costs grow: flat, settled, growing, linear, quadratic; unclear where it is undecided.

    Each step of a line is twice as high as the one before, since the doublings are twice as long; that of a parabola
    is four times as high. What the costs begin with does not count in that. Noisy costs take two steps at a time.
    """
    verdict = found.verdict(limit)
    if verdict is Verdict.UNDECIDED:
        return "unclear"
    if verdict is Verdict.UNCHANGED:
        return "flat" if found.whole.estimate <= math.log(limit) else "settled"
    exact = found.whole.lower == found.whole.upper
    width = 1 if exact or len(costs) < 5 else 2
    last, before = costs[-1] - costs[-1 - width], costs[-1 - width] - costs[-1 - 2 * width]
    if last <= 0 or before <= 0:
        return "growing"
    power = math.log2(last / before) / width
    return "growing" if power < 0.5 else "linear" if power < 1.5 else "quadratic"
