"""Quantiles against printed tables and against what must hold of them."""

from __future__ import annotations

from math import comb, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.paired.quantile import beta_inc, binomial_upper, t_quantile

TABLE = [
    (0.90, 1, 3.0776835372),
    (0.95, 4, 2.1318467863),
    (0.975, 10, 2.2281388520),
    (0.99, 6, 3.1426684033),
    (0.995, 4, 4.6040948713),
    (0.999, 4, 7.1731822198),
    (0.999, 19, 3.5794001490),
    (0.9995, 30, 3.6459586350),
    (0.975, 1000, 1.9623390808),
]


@pytest.mark.parametrize(("probability", "freedom", "expected"), TABLE)
def test_t_quantile_is_that_of_the_tables(probability: float, freedom: int, expected: float):
    """
    The values of printed tables of Student's t (such as NIST's), with the digits that they leave out.
    """
    assert isclose(expected, t_quantile(probability, freedom), abs_tol=1e-6)


@given(st.floats(0.5001, 0.99999), st.integers(1, 200))
def test_t_quantile_inverts_the_distribution(probability: float, freedom: int):
    """
    Below the quantile lies the probability, and the quantile of the rest is its mirror.
    """
    t = t_quantile(probability, freedom)

    assert isclose(2 * (1 - probability), beta_inc(freedom / 2, 0.5, freedom / (freedom + t * t)), abs_tol=1e-9)
    assert isclose(-t, t_quantile(1 - probability, freedom), rel_tol=1e-9)


@given(st.floats(0.6, 0.999), st.integers(1, 100))
def test_t_quantile_falls_with_freedom(probability: float, freedom: int):
    """
    More sessions never make a bound wider.
    """
    assert t_quantile(probability, freedom) > t_quantile(probability, freedom + 1)


@pytest.mark.parametrize(("probability", "freedom"), [(0.0, 4), (1.0, 4), (0.9, 0)])
def test_t_quantile_refuses_what_has_none(probability: float, freedom: int):
    """
    Neither certainty nor a single value has a quantile.
    """
    with pytest.raises(ValueError, match="no t quantile"):
        t_quantile(probability, freedom)


@given(st.floats(0.0, 1.0), st.integers(1, 60), st.integers(1, 60))
def test_beta_is_the_sum_of_a_binomial(x: float, a: int, b: int):
    """
    For whole numbers I_x(a, b) is the chance of at least a hits in a + b - 1 tries (DLMF 8.17.5).
    """
    tries = a + b - 1
    chance = sum(comb(tries, hits) * x**hits * (1 - x) ** (tries - hits) for hits in range(a, tries + 1))

    assert isclose(chance, beta_inc(a, b, x), abs_tol=1e-9)


@pytest.mark.parametrize(("events", "trials"), [(0, 600), (0, 372), (3, 600), (7, 121)])
def test_binomial_upper(events: int, trials: int):
    """
    At the bound so few events or fewer are seen once in twenty times; without any it is 1 - 0.05^(1/n).
    """
    bound = binomial_upper(events, trials)
    chance = sum(comb(trials, hits) * bound**hits * (1 - bound) ** (trials - hits) for hits in range(events + 1))

    assert isclose(0.05, chance, abs_tol=1e-9)
    if events == 0:
        assert isclose(1 - 0.05 ** (1 / trials), bound, abs_tol=1e-9)


def test_binomial_upper_at_its_edges():
    """
    All of all is bounded by one, and what is no share is refused.
    """
    assert 1.0 == binomial_upper(5, 5)
    with pytest.raises(ValueError, match="no share"):
        binomial_upper(6, 5)
