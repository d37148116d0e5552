"""Predictors, each on histories whose ends are known beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.prediction import learner
from looprig.prediction.features import Known, Past, Played, Size
from looprig.prediction.linear import Linear, solved
from looprig.prediction.predictor import Predictor
from looprig.prediction.simple import LastValue, Mean, Sawtooth

needs_learner = pytest.mark.skipif(learner.missing() is not None, reason=str(learner.missing()))


def conversation(turns: int, said: Callable[[int, int], int], limit: int = 10**9) -> tuple[list[Known], list[Size]]:
    """Return what is known at each start, and each end.

    *said* of (turn, tokens typed) messages of ten tokens each join; beyond *limit* the history is cut to half of it.
    """
    past, size = Past(), Size(0, 0)
    known, ends = [], []
    for number in range(turns):
        typed = 10 + number * 7 % 50
        known.append(past.known(size, typed))
        more = said(number, typed)
        end = size.messages + more
        trimmed = end > limit
        end = limit // 2 if trimmed else end
        played = Played(size, Size(end, 10 * end), Size(more, 10 * more), int(trimmed), limit // 2 if trimmed else 0)
        past.add(played)
        size = played.end
        ends.append(size)
    return known, ends


def error(predictor: Predictor, known: list[Known], ends: list[Size]) -> float:
    """Return the mean absolute error in messages after the first ten turns."""
    predicted = predictor.predict(known)
    errors = [abs(one.messages - other.messages) for one, other in zip(predicted, ends, strict=True)]
    return sum(errors[10:]) / len(errors[10:])


def close(expected: Sequence[Size], predicted: Sequence[Size]) -> bool:
    """Whether all lengths are equal but for rounding."""
    pairs = zip(expected, predicted, strict=True)
    return all(math.isclose(*each, abs_tol=1e-6) for pair in pairs for each in zip(*pair, strict=True))


def test_last_value():
    """
    It is off by exactly what a turn adds.
    """
    known, ends = conversation(50, lambda number, typed: 3)
    predictor = LastValue()
    predictor.fit(known, ends)

    assert error(predictor, known, ends) == 3


@pytest.mark.parametrize("predictor", [Mean(), Sawtooth()], ids=lambda each: each.name)
def test_steady_growth(predictor: Predictor):
    """
    Where every turn adds the same, its mean is the answer; in the first turn it is that of what was learned from.
    """
    known, ends = conversation(50, lambda number, typed: 3)
    predictor.fit(known, ends)

    assert close(ends, predictor.predict(known))


def test_sawtooth_foresees_the_trim():
    """
    With a trim now and then the sawtooth is right in nearly every turn, where the mean is off by more than a message.
    """
    known, ends = conversation(200, lambda number, typed: 3, limit=30)
    predictors: list[Predictor] = [Sawtooth(), Mean()]
    for predictor in predictors:
        predictor.fit(known, ends)
    sawtooth, mean = (error(predictor, known, ends) for predictor in predictors)

    assert sawtooth < 0.1
    assert mean > 1


def test_linear_finds_the_weights():
    """
    A growth that is a weighted sum of features is predicted, in a conversation that it has not seen.
    """
    predictor = Linear()
    predictor.fit(*conversation(100, lambda number, typed: 1 + typed // 10))
    known, ends = conversation(40, lambda number, typed: 1 + typed // 10)

    assert error(predictor, known, ends) < 0.6, "less than the rounding of the growth itself"


def test_features_that_never_change():
    """
    A feature that is the same in all turns, and features that are multiples of each other, do no harm.
    """
    known, ends = conversation(3, lambda number, typed: 2)
    predictor = Linear()
    predictor.fit(known[:1] * 20, ends[:1] * 20)

    assert close(ends[:1], predictor.predict(known[:1]))


@given(
    st.integers(1, 6).flatmap(
        lambda size: st.tuples(
            st.lists(st.lists(st.floats(-1, 1), min_size=size, max_size=size), min_size=size, max_size=size),
            st.lists(st.floats(-100, 100), min_size=size, max_size=size),
        )
    )
)
def test_solved(given_: tuple[list[list[float]], list[float]]):
    """
    What `solved` returns solves the equations.
    """
    noise, expected = given_
    size = len(expected)
    matrix = [
        [value + (10 * size if row == column else 0) for column, value in enumerate(line)]
        for row, line in enumerate(noise)
    ]
    side = [sum(one * other for one, other in zip(line, expected, strict=True)) for line in matrix]

    assert solved(matrix, [side, side]) == [pytest.approx(expected, abs=1e-9)] * 2


def test_no_history_is_shorter_than_nothing():
    """
    A prediction below zero becomes zero.
    """
    past = Past()
    past.add(Played(Size(100, 1000), Size(2, 20), Size(2, 20), 1, 2))
    known = past.known(Size(2, 20), 5)
    predictor = Mean()
    predictor.fit([known], [Size(2, 20)])

    assert predictor.predict([known]) == [Size(0, 0)]


@needs_learner
def test_boosting_learns_a_step():
    """
    A growth that jumps with a feature is what trees can say and a weighted sum cannot; equal turns give equal trees.
    """
    told = lambda number, typed: 20 if typed > 35 else 2  # noqa: E731
    boosting, linear, again = learner.Boosting(), Linear(), learner.Boosting()
    for predictor in (boosting, linear, again):
        predictor.fit(*conversation(300, told))
    known, ends = conversation(60, told)

    assert error(boosting, known, ends) < 0.5 * error(linear, known, ends)
    assert boosting.predict(known) == again.predict(known)


def test_missing_learner_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    """
    Without the library the learner is left out, and how to get it is said.
    """
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert "pip install 'looprig[learn]'" in str(learner.missing())
