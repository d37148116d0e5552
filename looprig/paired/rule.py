"""When enough pairs have been seen, and what they say: a group-sequential test on logarithms of ratios.

Each session of a pair gives one number: the logarithm of the CPU time of AFTER by that of BEFORE. After 5, 7, 10, 14
and 20 sessions somebody looks. A look bounds the mean from both sides, and each look may spend its share of the error
(alpha spending by Bonferroni: the shares add up to alpha, so the looks together err no more often than alpha):

    w  = d, winsorised at median ± 3 · 1.4826 · MAD       one wild session must not decide
    m  = mean(w)          se = sd(w) / sqrt(k)
    low, high = m ∓ t[1 - alpha · spend, k - 1] · se

    regressed   low  >  log(1 + margin)
    improved    high < -log(1 + margin)                   the mirror: sides swapped, verdicts swapped
    unchanged   high <  log(1 + reach)   and   low > -log(1 + reach)
    undecided   else; the next look may know more

So a change within the margin is called "regressed" at most once in 1/alpha times, one beyond the reach "unchanged"
just as seldom, and what lies between is a grey zone by design. A margin of zero would be fooled in the end by the
bias of a fraction of a percent that any two sides have against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log1p, sqrt
from statistics import fmean, median, stdev

from looprig.paired.quantile import t_quantile
from looprig.verdicts import Verdict

LOOKS = (5, 7, 10, 14, 20)
"""After how many sessions somebody looks."""

SPEND = (0.10, 0.15, 0.20, 0.25, 0.30)
"""Which share of the error each look may spend."""

WILD = 3 * 1.4826
"""Beyond so many median absolute deviations a session counts as this far away: three standard deviations."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The rule's promises: changes up to *margin* count as none, those beyond *reach* are not missed; error *alpha*."""

    margin: float = 0.02
    reach: float = 0.05
    alpha: float = 0.01

    def __post_init__(self) -> None:
        if not 0.0 <= self.margin < self.reach:
            raise ValueError(
                f"the margin ({self.margin:g}) has to be below the reach ({self.reach:g}), and neither below 0: "
                "between the two a change is neither ruled out nor shown"
            )
        if not 0.0 < self.alpha < 0.5:
            raise ValueError(f"alpha is a rate of errors between 0 and 0.5, not {self.alpha:g}")

    def shared(self, scenarios: int) -> Limits:
        """Return the limits of each of so many scenarios that together err no more often than one (Bonferroni)."""
        return Limits(self.margin, self.reach, self.alpha / max(1, scenarios))


@dataclass(frozen=True, slots=True)
class Look:
    """What a look saw: the verdict, and ratios of AFTER by BEFORE, the middle one with its bounds."""

    sessions: int
    verdict: Verdict
    ratio: float
    interval: tuple[float, float]


def winsorised(values: Sequence[float]) -> list[float]:
    """Return *values* with the wild ones brought in; all of them as they are where most are equal."""
    middle = median(values)
    spread = WILD * median(abs(value - middle) for value in values)
    if spread == 0.0:
        return list(values)
    return [min(max(value, middle - spread), middle + spread) for value in values]


def look(log_ratios: Sequence[float], limits: Limits) -> Look | None:
    """Return what the log ratios of all sessions so far say; None where it is not the time to look."""
    count = len(log_ratios)
    if count not in LOOKS:
        return None
    share = SPEND[LOOKS.index(count)]
    calm = winsorised(log_ratios)
    mean = fmean(calm)
    reach = t_quantile(1.0 - limits.alpha * share, count - 1) * stdev(calm) / sqrt(count)
    low, high = mean - reach, mean + reach
    return Look(count, verdict_between(low, high, limits), exp(mean), (exp(low), exp(high)))


def verdict_between(low: float, high: float, limits: Limits) -> Verdict:
    """Return what the bounds of a log ratio of AFTER by BEFORE say."""
    margin, reach = log1p(limits.margin), log1p(limits.reach)
    if low > margin:
        return Verdict.REGRESSED
    if high < -margin:
        return Verdict.IMPROVED
    if high < reach and low > -reach:
        return Verdict.UNCHANGED
    return Verdict.UNDECIDED


def last_look(log_ratios: Sequence[float], limits: Limits) -> Look | None:
    """Return the newest look at a growing list, such as a stored one; None where there are too few for any."""
    past = [count for count in LOOKS if count <= len(log_ratios)]
    return look(log_ratios[: past[-1]], limits) if past else None


def decided(log_ratios: Sequence[float], limits: Limits) -> Look | None:
    """Return the first look with a verdict, or the newest one; with stored ratios it repeats what a run decided."""
    found = None
    for count in LOOKS:
        if count > len(log_ratios):
            break
        found = look(log_ratios[:count], limits)
        if found is not None and found.verdict is not Verdict.UNDECIDED:
            return found
    return found


def unfit(control: Sequence[float], limits: Limits) -> bool:
    """Whether a second copy of BEFORE came out further from BEFORE than the margin: no machine to judge on."""
    return bool(control) and abs(fmean(winsorised(control))) > log1p(limits.margin)
