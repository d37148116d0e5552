"""A histogram's quantiles are right within a percent, and merging loses nothing."""

from __future__ import annotations

import json
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.load.histogram import LEAST, Histogram

values = st.one_of(
    st.just(0.0),
    st.floats(1e-9, 1e9),
    st.floats(0.0001, 100.0),
    st.integers(0, 10**6).map(float),
)


def filled(numbers: list[float]) -> Histogram:
    made = Histogram()
    for number in numbers:
        made.add(number)
    return made


@given(st.lists(values, min_size=1, max_size=200), st.floats(0, 1))
def test_quantile_is_within_a_percent(numbers, q):
    """
    A quantile is within 1 % of the value that stands at its rank, and never outside of what was added.
    """
    made = filled(numbers)

    exact = sorted(numbers)[max(1, math.ceil(q * len(numbers))) - 1]
    told = made.quantile(q)

    assert told is not None
    assert abs(told - exact) <= 0.01 * exact + LEAST
    assert min(numbers) <= told <= max(numbers)


@given(st.lists(values, min_size=1, max_size=100))
def test_count_mean_and_ends_are_exact(numbers):
    """
    How many, least and most are exact; the mean is, to a billionth.
    """
    made = filled(numbers)

    assert (len(numbers), min(numbers), max(numbers)) == (made.count, made.least, made.most)
    assert made.mean == pytest.approx(math.fsum(numbers) / len(numbers), rel=1e-12, abs=1e-9)


@given(st.lists(st.lists(values, max_size=40), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_merging_is_as_if_one_process_had_counted(parts, random: Random):
    """
    Merged in any order, from processes that saw any share: equal to the histogram of all values, and so is its JSON.
    """
    together = filled([number for part in parts for number in part])
    shares = [filled(part) for part in parts]
    random.shuffle(shares)

    merged = Histogram()
    for share in shares:
        merged.merge(Histogram.from_builtins(json.loads(json.dumps(share.to_builtins()))))

    assert merged == together
    assert json.dumps(merged.to_builtins()) == json.dumps(together.to_builtins())


@given(st.lists(values, min_size=1, max_size=40), st.integers(0, 5))
def test_counting_several_times_at_once(numbers, times):
    """
    A value that is counted n times at once is as good as n calls, and merging with itself doubles.
    """
    at_once = Histogram()
    for number in numbers:
        at_once.add(number, times)

    assert at_once == filled([number for number in numbers for _ in range(times)])

    double = filled(numbers)
    double.merge(double)
    assert double == filled(numbers + numbers)


@given(st.lists(values, min_size=1, max_size=60), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_rise(numbers, one, other):
    """
    A higher quantile is never a smaller value.
    """
    made = filled(numbers)
    low, high = (made.quantile(q) for q in sorted((one, other)))

    assert low is not None
    assert high is not None
    assert low <= high


def test_empty():
    """
    Without values there is no mean, no quantile, no least and no most; merging one changes nothing.
    """
    empty = Histogram()
    some = filled([1.0])
    some.merge(empty)

    assert (0, None, None, None, None) == (empty.count, empty.mean, empty.quantile(0.5), empty.least, empty.most)
    assert Histogram.from_builtins(empty.to_builtins()) == empty
    assert some == filled([1.0])


def test_large_sums_fit_into_json():
    """
    A sum whose billionths are beyond 64 bits is still written in numbers that every reader of JSON takes.
    """
    made = Histogram()
    made.add(250_000.0, 10**8)

    assert all(part < 2**53 for part in made.to_builtins()["total"])
    assert Histogram.from_builtins(made.to_builtins()).mean == 250_000.0


@pytest.mark.parametrize("value", [-1e-12, -5.0, math.nan, math.inf, -math.inf])
def test_values_that_nothing_can_last(value):
    """
    A negative, an infinite and no number are refused, and leave the histogram as it was.
    """
    made = filled([1.0, 2.0])

    with pytest.raises(ValueError, match="numbers from 0 upwards"):
        made.add(value)

    assert made == filled([1.0, 2.0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"error": 0.02}, "error of 0.02 does not merge"),
        ({"buckets": [[1, -1]]}, "no histogram"),
        ({"buckets": [[1, 1], [1, 1]]}, "bucket twice"),
        ({"least": None}, "do not go with"),
        ({"zeros": "3"}, "no histogram"),
        ({"more": 1}, "no histogram"),
    ],
)
def test_what_is_no_histogram(change, said):
    """
    Data that is damaged, or of another width of buckets, is refused with what is wrong.
    """
    with pytest.raises(ValueError, match=said):
        Histogram.from_builtins(filled([1.0, 2.0]).to_builtins() | change)


@pytest.mark.parametrize("q", [-0.1, 1.1, 95])
def test_no_quantile(q):
    """
    A quantile outside 0 to 1, a percentage for instance, is refused.
    """
    with pytest.raises(ValueError, match="from 0 to 1"):
        filled([1.0]).quantile(q)
