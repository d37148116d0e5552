"""The rule: what its looks say, that they say the mirror of it with the sides swapped, and how often they are wrong."""

from __future__ import annotations

from math import isclose, log, log1p
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.paired.rule import LOOKS, SPEND, Limits, decided, last_look, look, unfit, winsorised
from looprig.verdicts import Verdict

LIMITS = Limits()

MIRROR = {
    Verdict.REGRESSED: Verdict.IMPROVED,
    Verdict.IMPROVED: Verdict.REGRESSED,
    Verdict.UNCHANGED: Verdict.UNCHANGED,
    Verdict.UNDECIDED: Verdict.UNDECIDED,
}

RATIOS = st.sampled_from(LOOKS).flatmap(lambda count: st.lists(st.floats(-0.3, 0.3), min_size=count, max_size=count))


def test_all_looks_together_spend_the_error():
    """
    The shares of the looks add up to the whole, so that the looks together err no more often than alpha.
    """
    assert isclose(1.0, sum(SPEND))
    assert len(LOOKS) == len(SPEND)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.001, -0.001, 0.002, -0.002], Verdict.UNCHANGED),
        ([0.05, 0.051, 0.049, 0.052, 0.048], Verdict.REGRESSED),
        ([-0.05, -0.051, -0.049, -0.052, -0.048], Verdict.IMPROVED),
        ([0.035, 0.0351, 0.0349, 0.0352, 0.0348], Verdict.REGRESSED),
        ([0.015, 0.0151, 0.0149, 0.0152, 0.0148], Verdict.UNCHANGED),
        ([0.0, 0.05, -0.05, 0.04, -0.04], Verdict.UNDECIDED),
        ([0.0, 0.0, 0.0, 0.0, 0.0], Verdict.UNCHANGED),
    ],
)
def test_verdict_of_a_look(values: list[float], expected: Verdict):
    """
    Beyond the margin for certain, within the reach for certain, or neither.
    """
    seen = look(values, LIMITS)

    assert seen is not None
    assert expected == seen.verdict
    assert seen.interval[0] <= seen.ratio <= seen.interval[1]


def test_bounds_of_a_look():
    """
    Five sessions: the bounds are the mean ∓ t[0.999, 4] = 7.1732 standard errors, on the scale of logarithms.
    """
    values = [0.01, 0.02, 0.00, 0.015, 0.005]
    seen = look(values, LIMITS)
    error = (sum((value - 0.01) ** 2 for value in values) / 4 / 5) ** 0.5

    assert seen is not None
    assert isclose(0.01 - 7.1731822 * error, log(seen.interval[0]), abs_tol=1e-8)
    assert isclose(0.01 + 7.1731822 * error, log(seen.interval[1]), abs_tol=1e-8)


@given(RATIOS)
def test_swapping_sides_swaps_the_verdict(values: list[float]):
    """
    AFTER by BEFORE and BEFORE by AFTER say the same thing.
    """
    there, back = look(values, LIMITS), look([-value for value in values], LIMITS)

    assert there is not None
    assert back is not None
    assert MIRROR[there.verdict] == back.verdict
    assert isclose(there.ratio, 1 / back.ratio)


@given(RATIOS, st.floats(0.0, 0.2))
def test_slower_is_never_better_news(values: list[float], more: float):
    """
    The same sessions with AFTER slower by a constant never turn to better news.
    """
    news = [Verdict.IMPROVED, Verdict.UNCHANGED, Verdict.REGRESSED]
    one, other = look(values, LIMITS), look([value + more for value in values], LIMITS)

    assert one is not None
    assert other is not None
    if one.verdict in news and other.verdict in news:
        assert news.index(one.verdict) <= news.index(other.verdict)
    if one.verdict is Verdict.REGRESSED:
        assert Verdict.REGRESSED == other.verdict


@given(RATIOS, st.integers(2, 50))
def test_more_scenarios_ask_for_more(values: list[float], scenarios: int):
    """
    Where an error is shared out, no verdict comes that would not have come without, and the interval is wider.
    """
    alone, among = look(values, LIMITS), look(values, LIMITS.shared(scenarios))

    assert alone is not None
    assert among is not None
    assert among.verdict in (alone.verdict, Verdict.UNDECIDED)
    assert among.interval[0] <= alone.interval[0]
    assert among.interval[1] >= alone.interval[1]


@given(st.lists(st.floats(-1.0, 1.0), min_size=5, max_size=20))
def test_winsorising(values: list[float]):
    """
    Nobody changes sides or order, and whoever is not wild stays as he is.
    """
    calm = winsorised(values)

    assert len(values) == len(calm)
    assert min(values) <= min(calm)
    assert max(calm) <= max(values)
    assert sorted(calm) == [value for _, value in sorted(zip(values, calm, strict=True))]


def test_one_wild_session_does_not_decide():
    """
    Nine sessions that agree and one that is off by a third: still unchanged.
    """
    values = [0.001, -0.002, 0.003, 0.0, -0.001, 0.002, -0.003, 0.001, 0.0, 0.33]
    seen = look(values, LIMITS)

    assert seen is not None
    assert Verdict.UNCHANGED == seen.verdict


@pytest.mark.parametrize(
    ("slowdown", "spread", "wrong", "at_most"),
    [
        (0.02, 0.010, (Verdict.REGRESSED, Verdict.IMPROVED), 0.01),
        (0.02, 0.030, (Verdict.REGRESSED, Verdict.IMPROVED), 0.01),
        (0.00, 0.015, (Verdict.REGRESSED, Verdict.IMPROVED), 0.001),
        (-0.02, 0.010, (Verdict.REGRESSED, Verdict.IMPROVED), 0.011),
        (0.05, 0.010, (Verdict.UNCHANGED, Verdict.IMPROVED), 0.01),
        (0.05, 0.030, (Verdict.UNCHANGED, Verdict.IMPROVED), 0.01),
        (0.05, 0.011, (Verdict.UNCHANGED, Verdict.UNDECIDED, Verdict.IMPROVED), 0.02),
        (0.10, 0.030, (Verdict.UNCHANGED, Verdict.IMPROVED), 0.0),
    ],
)
def test_errors_in_simulated_gates(slowdown: float, spread: float, wrong: tuple[Verdict, ...], at_most: float):
    """
    800 gates of normal sessions with one wild one in thirty: no error is more frequent than promised.

    The seed is fixed; four standard errors of a rate of 1 % over 800 gates are 1.4 %.
    """
    random, count = Random(f"{slowdown} {spread}"), 800
    rates = dict.fromkeys(Verdict, 0)
    for _ in range(count):
        values = [
            log1p(slowdown) + random.gauss(0.0, spread * (8.0 if random.random() < 1 / 30 else 1.0)) for _ in range(20)
        ]
        seen = decided(values, LIMITS)
        assert seen is not None
        rates[seen.verdict] += 1

    assert sum(rates[verdict] for verdict in wrong) / count <= at_most + 0.01, rates


def test_time_to_look():
    """
    Between looks nobody looks; a stored list is read up to its last look, and decided at the first that could.
    """
    values = [0.05, 0.051, 0.049, 0.052, 0.048, -0.3]

    assert look(values, LIMITS) is None
    assert last_look(values[:4], LIMITS) is None
    assert last_look(values, LIMITS) == look(values[:5], LIMITS) == decided([*values, -0.3], LIMITS)


@pytest.mark.parametrize(
    ("control", "expected"),
    [([], False), ([0.001, -0.001, 0.002], False), ([0.03, 0.031, 0.029], True), ([-0.03, -0.031, -0.029], True)],
)
def test_control(control: list[float], expected: bool):
    """
    A copy of BEFORE that comes out beyond the margin, on either side, says that the machine is unfit.
    """
    assert expected == unfit(control, LIMITS)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"margin": 0.05, "reach": 0.05}, "has to be below the reach"),
        ({"margin": -0.01}, "neither below 0"),
        ({"alpha": 0.0}, "alpha is a rate of errors"),
        ({"alpha": 0.7}, "alpha is a rate of errors"),
    ],
)
def test_limits_that_contradict_each_other(limits: dict[str, float], said: str):
    """
    Limits that could never decide are refused.
    """
    with pytest.raises(ValueError, match=said):
        Limits(**limits)
