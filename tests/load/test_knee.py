"""The knee finder against services that are simulated: where their knee lies is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looprig.load.knee import LEAST, MEASURED_MOST, RATIO, Answer, Attempt, Knee, find, kept_share

RATES = st.floats(0.01, 1e5)


def sharp(knee: float, generator: float = math.inf) -> Callable[[float], Attempt]:
    """A service that keeps its thresholds up to a rate, and a generator that keeps up to another."""

    def measure(rate: float) -> Attempt:
        if rate > generator:
            return Attempt(rate=rate, answer="generator", gave_way=("gen.beat.p99",))
        if rate > knee:
            return Attempt(rate=rate, answer="missed", gave_way=("ttft.p95 < 800ms",))
        return Attempt(rate=rate, answer="kept")

    return measure


def noisy(knee: float, width: float, random: Random) -> Callable[[float], Attempt]:
    """A service that keeps its thresholds with a probability that falls from 1 to 0 around the knee (logistic)."""

    def measure(rate: float) -> Attempt:
        kept = 1 / (1 + math.exp(min(700.0, math.log(rate / knee) / width)))
        answer: Answer = "kept" if random.random() < kept else "missed"
        return Attempt(rate=rate, answer=answer, gave_way=("goodput > 5",))

    return measure


@given(knee=RATES, first=RATES)
def test_sharp_knee(knee: float, first: float):
    """
    A knee without noise lies in the interval, whose ends are as near as asked for, wherever the search began.
    """
    found = find(sharp(knee), first, runs_most=1000)

    if knee < first * LEAST:
        assert (found.low, found.limit) == (None, "service")
        assert found.high is not None
        assert found.high <= 2 * first * LEAST
        return
    assert found.low is not None
    assert found.high is not None
    assert found.low <= knee < found.high
    assert found.high / found.low <= RATIO * (1 + 1e-9)
    assert (found.limit, found.gives_way, found.exhausted) == ("service", ("ttft.p95 < 800ms",), False)
    assert found.sentence.startswith(f"between {found.low:.4g}/s and")


@given(knee=RATES, first=RATES)
def test_no_more_runs_than_it_takes(knee: float, first: float):
    """
    Without noise a rate is measured twice, and there are as many rates as doublings and halvings to the interval.
    """
    found = find(sharp(knee), first, runs_most=1000)

    doublings = abs(math.log2(knee / first)) + 2
    halvings = math.log2(math.log(2) / math.log(RATIO)) + 1
    assert len(found.attempts) <= 2 * (doublings + halvings + 1)
    assert set(kept_share(found.attempts).values()) <= {(0, 2), (2, 2)}


@given(knee=RATES, first=RATES, runs=st.integers(0, 30))
def test_runs_are_bounded(knee: float, first: float, runs: int):
    """
    The search never makes more runs than it may, says that they ran out, and what it then says is still true.
    """
    found = find(noisy(knee, 0.3, Random(runs)), first, runs_most=runs)

    assert len(found.attempts) <= runs
    assert found.exhausted or found.low is None or found.high is None or found.high / found.low >= 1
    exact = find(sharp(knee), first, runs_most=runs)
    assert exact.low is None or exact.low <= knee
    assert exact.high is None or knee < exact.high


@given(knee=RATES, generator=RATES, first=RATES)
def test_generator_is_the_limit(knee: float, generator: float, first: float):
    """
    Where the generator gives way before the service, the verdict says so and claims nothing above what was kept.
    """
    found = find(sharp(knee, generator), first, runs_most=1000)

    if found.low is None or found.high is None:
        return
    if found.limit == "generator":
        assert generator < found.high
        assert found.sentence.startswith("at least ")
        assert "the generator itself is the limit; gen.beat.p99 gives way first" in found.sentence
        assert found.low <= min(knee, generator)
    else:
        assert knee < found.high <= generator


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_noisy_knee(seed: int):
    """
    Of 40 services whose answers change within some 20 % of the knee, the interval holds or neighbours nearly all.
    """
    random = Random(seed)
    near = 0
    for _ in range(40):
        knee = math.exp(random.uniform(-2, 6))
        found = find(noisy(knee, 0.05, random), knee * math.exp(random.uniform(-3, 3)), runs_most=200)
        assert found.low is not None
        assert found.high is not None
        near += found.low / 1.2 <= knee <= found.high * 1.2
    assert near >= 36


@given(knee=RATES, seed=st.integers(0, 10**6), wrong=st.floats(0, 0.45))
def test_order_of_ends(knee: float, seed: int, wrong: float):
    """
    However often answers are wrong, the search ends, its ends are in order, and only measured rates are named.
    """
    random = Random(seed)

    def measure(rate: float) -> Attempt:
        kept = (rate <= knee) != (random.random() < wrong)
        return Attempt(rate=rate, answer="kept" if kept else "missed", gave_way=("x",))

    found = find(measure, knee, runs_most=400)

    rates = {attempt.rate for attempt in found.attempts}
    assert {found.low, found.high} - {None} <= rates
    assert found.low is None or found.high is None or found.low < found.high
    assert all(runs <= MEASURED_MOST for _, runs in kept_share(found.attempts).values())


def test_open_rates_stay_in_the_interval():
    """
    A stretch of rates in which runs disagree lies between the ends, however wide it is.
    """
    turn = {True: 0}

    def measure(rate: float) -> Attempt:
        if 10 < rate < 20:
            turn[True] += 1
            return Attempt(rate=rate, answer="kept" if turn[True] % 2 else "missed")
        return Attempt(rate=rate, answer="kept" if rate <= 10 else "missed")

    found = find(measure, 14, runs_most=400)

    assert found.low is not None
    assert found.high is not None
    assert 10 / RATIO <= found.low <= 10
    assert 20 <= found.high <= 20 * RATIO


def test_rate_that_is_never_too_much():
    """
    Where every rate up to the highest allowed is kept, the knee is above it, and nothing gives way.
    """
    found = find(sharp(1e9), 1, rate_most=50)

    assert (found.low, found.high, found.limit, found.exhausted) == (50, None, "none", False)
    assert found.sentence.startswith("at least 50/s: no rate that was tried is too much")


def test_nothing_was_found():
    """
    A search without runs says that it knows nothing.
    """
    assert find(sharp(1), 1, runs_most=0) == Knee(
        low=None, high=None, limit="none", gives_way=(), attempts=(), exhausted=True
    )
    assert find(sharp(1), 1, runs_most=0).sentence == "no rate was kept or missed for certain"


@pytest.mark.parametrize(("first", "ratio"), [(0, 1.1), (-1, 1.1), (math.inf, 1.1), (1, 1), (math.nan, 1.1)])
def test_senseless_search(first: float, ratio: float):
    """
    A first rate or ratio with which no search ends is refused.
    """
    with pytest.raises(ValueError, match="the search begins at a positive rate"):
        find(sharp(1), first, ratio=ratio)
