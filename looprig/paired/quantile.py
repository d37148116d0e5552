"""Quantiles of two distributions, in plain Python: Student's t, and the binomial's upper confidence bound.

Both come from the regularised incomplete beta function I_x(a, b): DLMF 8.17, its continued fraction (8.17.22) by
Lentz's method. scipy would give the same digits for 140 MB and most of a second of start-up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import exp, inf, lgamma, log, log1p, sqrt

_TINY = 1e-300
_TERMS = 500
"""The continued fraction converges within O(sqrt(max(a, b))) terms; this is enough beyond a = b = 10,000."""


def beta_inc(a: float, b: float, x: float) -> float:
    """Return I_x(a, b), the share of a beta(a, b) distribution below *x*, for a, b > 0 and x in 0 … 1."""
    if not 0.0 < x < 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast on this side of the mean only
        return 1.0 - beta_inc(b, a, 1.0 - x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    return front / _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """Return 1 + d1/(1 + d2/(1 + …)) of DLMF 8.17.22, by the modified method of Lentz."""
    value = c = 1.0
    d = 0.0
    for step in range(1, _TERMS):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / (1.0 + term * d or _TINY)
        c = 1.0 + term / c or _TINY
        value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value


@lru_cache(maxsize=256)
def t_quantile(probability: float, freedom: int) -> float:
    """Return the t with P(T <= t) = *probability* for Student's T with *freedom* degrees of freedom.

    P(|T| > t) = I_x(f/2, 1/2) with x = f / (f + t²) (Abramowitz & Stegun 26.7.1); x is found by halving.

    Raises:
        ValueError: where *probability* is not between 0 and 1, or *freedom* is below 1.
    """
    if not 0.0 < probability < 1.0 or freedom < 1:
        raise ValueError(f"no t quantile for probability {probability:g} and {freedom} degrees of freedom")
    if probability < 0.5:
        return -t_quantile(1.0 - probability, freedom)
    outside = 2.0 * (1.0 - probability)
    t2 = _solved(lambda t2: 1.0 - beta_inc(freedom / 2, 0.5, freedom / (freedom + t2)), 1.0 - outside)
    return sqrt(t2)


def _solved(rising: Callable[[float], float], wanted: float) -> float:
    """Return the x >= 0 with ``rising(x) = wanted``, to the last digits of a float."""
    low, high = 0.0, 1.0
    while rising(high) < wanted:
        low, high = high, 2.0 * high
        if high == inf:
            return inf
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2


def binomial_upper(events: int, trials: int, confidence: float = 0.95) -> float:
    """Return the upper bound of a share of which *events* were seen in *trials*: Clopper and Pearson (1934), one-sided.

    Raises:
        ValueError: where there are fewer trials than events, or none.
    """
    if not 0 <= events <= trials or trials < 1:
        raise ValueError(f"{events} events in {trials} trials is no share")
    if events == trials:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_inc(events + 1, trials - events, middle) < confidence else (low, middle)
    return (low + high) / 2
