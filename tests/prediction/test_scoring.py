"""Scores by hand, and an interval that is asked whether it covers."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looprig.prediction.scoring import _student, mean_of, score, skill

LENGTHS = st.lists(st.tuples(st.floats(1, 1e6), st.floats(0, 1e6)), min_size=1, max_size=50)
ERRORS = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.01, 10), min_size=1)


def test_score_by_hand():
    """
    Ten turns of 100, off by 0, 2, ... 18: every figure can be said beforehand.
    """
    found = score([100.0] * 10, [100.0 - 2 * number for number in range(10)])

    assert (9.0, 16, 0.09) == (found.mae, found.p90, found.relative)
    assert (0.3, 0.7) == (found.near, found.over)


def test_a_prediction_that_is_too_long_is_not_over():
    """
    Only a history that ends longer than predicted would not have fitted.
    """
    assert score([100.0], [150.0]).over == 0
    assert score([150.0], [100.0]).over == 1


@given(LENGTHS)
def test_bounds(turns: list[tuple[float, float]]):
    """
    Shares lie between nothing and all, a near turn is not over, and perfect predictions have no error.
    """
    truth, predicted = zip(*turns, strict=True)
    found, perfect = score(truth, predicted), score(truth, truth)

    assert 0 <= found.near + found.over <= 1 + 1e-9
    assert found.p90 <= max(abs(one - other) for one, other in turns)
    assert (0, 0, 0, 1, 0) == (perfect.mae, perfect.p90, perfect.relative, perfect.near, perfect.over)


def test_scenarios_count_the_same():
    """
    A scenario of a thousand turns counts as much as one of ten.
    """
    found = mean_of([score([10.0] * 1000, [10.0] * 1000), score([10.0] * 10, [5.0] * 10)])

    assert (1010, 2.5) == (found.turns, found.mae)


@given(ERRORS)
@settings(max_examples=20)
def test_no_skill_over_oneself(errors: dict[str, float]):
    """
    Beside itself a predictor is neither better nor worse.
    """
    found = skill(errors, errors)

    assert (found.value, found.low, found.high, found.shown) == pytest.approx((0, 0, 0, 0))


@settings(max_examples=20)
@given(ERRORS, st.floats(0.1, 0.9))
def test_skill_of_less_error(errors: dict[str, float], factor: float):
    """
    With a share of the error everywhere the skill is the rest, however the scenarios are drawn; the other way round it
    is shown to be worse.
    """
    less = {name: factor * value for name, value in errors.items()}
    found = skill(less, errors)

    assert (found.value, found.low, found.high) == pytest.approx((1 - factor, 1 - factor, 1 - factor))
    assert (1, -1) == (found.shown, skill(errors, less).shown)


def test_one_scenario_shows_nothing_by_itself():
    """
    Better in one scenario by much and worse in all others by little: not shown.
    """
    others = dict.fromkeys("abcdefgh", 1.0)
    mine = {**dict.fromkeys(others, 1.05), "a": 0.2}

    assert skill(mine, others).value > 0
    assert skill(mine, others).shown == 0


def test_nothing_to_be_better_than():
    """
    Where the other predictor is never off, one that is off is worse beyond any number; one that is not has no skill.
    """
    assert skill({"a": 0.1}, {"a": 0.0}).shown == -1
    assert skill({"a": 0.0}, {"a": 0.0}).value == 0


def test_interval_covers():
    """
    Of 100 draws of twelve scenarios whose true skill is 0.3, the interval holds it in about 95 of 100.
    """
    random, held = Random(5), 0
    for _ in range(100):
        others = {str(number): random.lognormvariate(0, 0.5) for number in range(12)}
        mine = {name: value * 0.7 * random.lognormvariate(-0.02, 0.2) for name, value in others.items()}
        found = skill(mine, others)
        held += found.low <= 0.3 <= found.high

    assert 90 <= held < 100


@pytest.mark.parametrize(("freedom", "expected"), [(4, 2.776), (11, 2.201), (30, 2.042), (1000, 1.962)])
def test_student(freedom: int, expected: float):
    """
    The quantiles are those of the printed tables.
    """
    assert _student(0.975, freedom) == pytest.approx(expected, abs=2e-3)
