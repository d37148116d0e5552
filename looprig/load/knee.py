"""The knee: the highest arrival rate at which a service keeps its thresholds, with an interval.

The search doubles until a rate is not kept, then halves the interval on the scale of log(rate). One run near the knee
says little, because there the outcome changes from run to run. So a rate is measured until one answer is ahead by two,
five times at most: with answers that are wrong one time in ten, a rate is then judged wrongly one time in eighty
(the gambler's ruin: p^2 / (p^2 + (1 - p)^2)). A rate that stays open lies in the interval.

The search knows nothing of services: `find` is given a function that measures one rate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

AHEAD = 2
MEASURED_MOST = 5
RATIO = 1.1
"""How far the ends of the interval are apart, at most, where nothing stays open."""

LEAST = 2.0**-10
"""The lowest rate that is tried, as a share of the first."""

Answer = Literal["kept", "missed", "generator"]
"""What one run at a rate shows: the thresholds are kept, or not, or the generator was the limit."""

Decision = Literal["kept", "missed", "generator", "open"]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One run at one rate. ``gave_way`` names what was not kept: thresholds, or gates of the generator."""

    rate: float
    answer: Answer
    gave_way: tuple[str, ...] = ()
    goodput: float | None = None


class Knee(msgspec.Struct, frozen=True, kw_only=True):
    """The knee lies between two rates.

    ``low`` is the highest rate that was kept below every other one, None where none was; ``high`` the lowest that was
    decidedly not kept, None where every rate was. ``limit`` says what ``high`` failed for: the service, or the
    generator, which then says nothing about the service above ``low``. ``exhausted``: the runs that were allowed were
    over before the interval was as narrow as it was to be.
    """

    low: float | None
    high: float | None
    limit: Literal["service", "generator", "none"]
    gives_way: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    exhausted: bool = False

    @property
    def sentence(self) -> str:
        """Say what was found."""
        first = f"; {self.gives_way[0]} gives way first" if self.gives_way else ""
        if self.high is None:
            return (
                "no rate was kept or missed for certain" if self.low is None else f"at least {self.low:.4g}/s: {_MORE}"
            )
        if self.low is None:
            at = "the generator fails" if self.limit == "generator" else "the thresholds are missed"
            return f"{at} at every rate that was tried, down to {self.high:.4g}/s{first}"
        if self.limit == "generator":
            return f"at least {self.low:.4g}/s: at {self.high:.4g}/s the generator itself is the limit{first}"
        return f"between {self.low:.4g}/s and {self.high:.4g}/s{first}"


_MORE = "no rate that was tried is too much; allow more runs, or begin higher"


def find(
    measure: Callable[[float], Attempt],
    first: float,
    *,
    ratio: float = RATIO,
    runs_most: int = 60,
    rate_most: float = math.inf,
) -> Knee:
    """Search from the rate *first* on, with at most *runs_most* calls of *measure*, and no rate above *rate_most*.

    Raises:
        ValueError: for a first rate that is not positive, or a ratio of 1 or less.
    """
    if not 0 < first < math.inf or ratio <= 1:
        raise ValueError(
            f"the search begins at a positive rate and ends at a ratio above 1, not at {first} and {ratio}"
        )
    search = _Search(measure, runs_most)
    try:
        search.bracket(min(first, rate_most), rate_most)
        search.narrow(ratio)
        exhausted = False
    except Enough:
        exhausted = True
    return search.knee(exhausted)


class Enough(Exception):
    """No more runs are allowed; *measure* may raise it too, and what is known by then is returned."""


class _Search:
    def __init__(self, measure: Callable[[float], Attempt], runs_most: int) -> None:
        self._measure = measure
        self._left = runs_most
        self._attempts: list[Attempt] = []
        self._decided: dict[float, Decision] = {}

    def decide(self, rate: float) -> Decision:
        """Measure a rate until one answer is ahead, and remember it."""
        if rate not in self._decided:
            self._decided[rate] = self._ask(rate)
        return self._decided[rate]

    def _ask(self, rate: float) -> Decision:
        answers = Counter[Answer]()
        for _ in range(MEASURED_MOST):
            if not self._left:
                raise Enough
            self._left -= 1
            attempt = self._measure(rate)
            self._attempts.append(attempt)
            answers[attempt.answer] += 1
            against = answers["missed"] + answers["generator"]
            if answers["kept"] - against >= AHEAD:
                return "kept"
            if against - answers["kept"] >= AHEAD:
                return "missed" if answers["missed"] >= answers["generator"] else "generator"
        return "open"

    def bracket(self, first: float, most: float) -> None:
        """Halve until a rate is kept, then double until one is not."""
        rate = first
        while self.decide(rate) != "kept" and rate > first * LEAST:
            rate /= 2
        rate = first
        while self.decide(rate) in ("kept", "open") and rate < most:
            rate = min(rate * 2, most)

    def narrow(self, ratio: float) -> None:
        """Halve, on the scale of log(rate), what lies between kept and not kept, then between open and missed."""
        while (gap := self._gap(ratio)) is not None:
            self.decide(math.sqrt(gap[0] * gap[1]))

    def _gap(self, ratio: float) -> tuple[float, float] | None:
        """Return two neighbouring rates that are too far apart, where the decision changes; None where there are none.

        First the upper end of what is kept, then the lower end of what is not; open rates may lie in between.
        """
        low, high = self._ends()
        if low is None or high is None:
            return None
        rates = sorted(self._decided)
        above = rates[rates.index(low) + 1]
        below = rates[rates.index(high) - 1]
        # A hair of tolerance: the root of two rates may be a rounding away from where the ratio is met.
        for near, far in ((low, above), (below, high)):
            if far / near > ratio * (1 + 1e-9):
                return near, far
        return None

    def _ends(self) -> tuple[float | None, float | None]:
        """Return the highest rate that was kept below every other decision, and the lowest one that was not kept."""
        low = None
        high = None
        for rate in sorted(self._decided):
            decision = self._decided[rate]
            if decision == "kept" and high is None and not self._open_below(rate):
                low = rate
            elif decision in ("missed", "generator") and high is None:
                high = rate
        return low, high

    def _open_below(self, rate: float) -> bool:
        return any(decision == "open" for other, decision in self._decided.items() if other < rate)

    def knee(self, exhausted: bool) -> Knee:
        """Return what is known by now."""
        low, high = self._ends()
        at_high = [attempt for attempt in self._attempts if attempt.rate == high and attempt.answer != "kept"]
        decision = self._decided.get(high) if high is not None else None
        named = Counter(name for attempt in at_high if attempt.answer == decision for name in attempt.gave_way)
        return Knee(
            low=low,
            high=high,
            limit="none" if high is None else "generator" if decision == "generator" else "service",
            gives_way=tuple(name for name, _ in named.most_common()),
            attempts=tuple(self._attempts),
            exhausted=exhausted,
        )


def kept_share(attempts: Sequence[Attempt]) -> dict[float, tuple[int, int]]:
    """Return for each rate, in order, how many runs kept the thresholds, and how many there were."""
    rates = sorted({attempt.rate for attempt in attempts})
    return {
        rate: (
            sum(attempt.rate == rate and attempt.answer == "kept" for attempt in attempts),
            sum(attempt.rate == rate for attempt in attempts),
        )
        for rate in rates
    }
