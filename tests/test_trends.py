"""Change points: found where there are some, and seldom where there are none."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looprig.trends import Change, changes, exact_changes, ranks
from tests.perf.trends import found

values = st.lists(st.floats(-1e6, 1e6), max_size=40)


def test_flat_and_stepped_series():
    """
    Of 50 flat series with 3 % noise at most 2 show a change; of 50 with one step of 5 %, 45 show it within 3 runs.
    """
    flat, _, _ = found(range(50), 0.0)
    _, near, _ = found(range(50), 0.05)

    assert flat <= 2
    assert near >= 45


@pytest.mark.parametrize(
    ("series", "index", "ratio"),
    [
        ([1.0] * 20 + [1.05] * 20, 20, 1.05),
        ([1.05] * 30 + [1.0] * 10, 30, 1 / 1.05),
        ([1.0 + 0.001 * index for index in range(20)] + [1.5] * 20, 20, 1.5 / 1.0095),
        ([-2.0] * 10 + [-3.0] * 10, 10, 1.5),
    ],
    ids=["up", "down", "a drift before it", "below zero"],
)
def test_clean_step(series: list[float], index: int, ratio: float):
    """
    Without noise a step is found at its very run, with its size.
    """
    (change,) = changes(series)

    assert index == change.index
    assert pytest.approx(ratio) == change.ratio
    assert change.p is not None
    assert change.p < 0.001


def test_two_steps():
    """
    Up and down again are two changes, first to last.
    """
    rng = random.Random(1)
    series = [level * (1 + rng.gauss(0, 0.01)) for level in [100.0] * 25 + [110.0] * 25 + [100.0] * 25]

    assert [25, 50] == [change.index for change in changes(series)]


@pytest.mark.parametrize(
    "series",
    [
        [],
        [1.0],
        [1.0] * 200,
        [0.0] * 20 + [0.0] * 20,
        [1.0] * 30 + [1.01] * 30,
        [1.0] * 37 + [9.0] * 3,
        [1.0, 1.0, 1.0, 50.0] * 10,
        [1.0, 2.0] * 20,
    ],
    ids=["nothing", "one", "constant", "zeros", "below 2 %", "too few runs", "spikes", "to and fro"],
)
def test_no_change(series: list[float]):
    """
    What is too small, too young, or no step is no change.
    """
    assert [] == changes(series)


@given(values)
def test_changes_are_sound(series: list[float]):
    """
    Whatever the values: changes are in order, far enough from each other and from both ends, and large enough.
    """
    made = changes(series, alpha=0.05)

    edges = [0, *(change.index for change in made), len(series)]
    assert all(end - start >= 4 for start, end in pairwise(edges) if made)
    assert all(abs(change.after - change.before) >= 0.02 * abs(change.before) for change in made)


@settings(max_examples=20)
@given(st.integers(5, 30), st.integers(5, 30), st.floats(0.05, 5), st.floats(1e-3, 1e3))
def test_scale_does_not_matter(before: int, after: int, step: float, scale: float):
    """
    The same series in another unit has its changes at the same runs.
    """
    series = [1.0 + 0.001 * (index % 7) for index in range(before)] + [1.0 + step] * after

    found_in = [[change.index for change in changes([value * factor for value in series])] for factor in (1.0, scale)]
    assert found_in[0] == found_in[1]


def test_same_series_same_changes():
    """
    The shuffles are seeded: a series that was judged before is judged alike.
    """
    rng = random.Random(3)
    series = [rng.gauss(100, 3) for _ in range(40)] + [rng.gauss(104, 3) for _ in range(40)]

    assert changes(series) == changes(series)


@given(values)
def test_exact_changes(series: list[float]):
    """
    Of an exact metric every other value is a change, and nothing else is.
    """
    made = exact_changes(series)

    assert {index for index in range(1, len(series)) if series[index] != series[index - 1]} == {
        change.index for change in made
    }
    assert all(Change(each.index, series[each.index - 1], series[each.index]) == each for each in made)


@given(st.lists(st.integers(0, 5), max_size=30))
def test_ranks(series: list[int]):
    """
    Ranks add up as those of different values do, and equal values have equal ranks.
    """
    made = ranks(series)

    assert len(series) * (len(series) + 1) / 2 == sum(made)
    assert all(
        (a < b) == (ra < rb) for a, ra in zip(series, made, strict=True) for b, rb in zip(series, made, strict=True)
    )


def test_ratio_of_nothing():
    """
    A metric that was 0 has no ratio.
    """
    assert None is Change(1, 0.0, 2.0).ratio
