"""Reading growth: exact costs and noisy ones, words, bounds, sizes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.growth import Growth, TooShort
from looprig.growth.bounds import located
from looprig.growth.reading import ratios, word_of
from looprig.growth.sizes import stops_of
from looprig.scenario import Turn
from looprig.verdicts import Layer, Verdict

SIZES = [64 * 2**number for number in range(8)]
MIDDLES = [1.5 * size for size in SIZES]

SHAPES: dict[str, tuple[Callable[[float], float], Verdict, str]] = {
    "the same for every message": (lambda n: 10.0, Verdict.UNCHANGED, "flat"),
    "cheaper later on": (lambda n: 10 + 1000 / n, Verdict.UNCHANGED, "flat"),
    "5 % dearer at the end": (lambda n: 10 + 0.5 * n / MIDDLES[-1], Verdict.UNCHANGED, "flat"),
    "a window that fills up": (lambda n: 10 + min(n, 400) / 10, Verdict.UNCHANGED, "settled"),
    "a logarithm": (lambda n: 10 + math.log2(n), Verdict.REGRESSED, "growing"),
    "a small part in a line": (lambda n: 10 + 3 * n / MIDDLES[-1], Verdict.REGRESSED, "linear"),
    "in a line": (lambda n: n, Verdict.REGRESSED, "linear"),
    "with the square": (lambda n: 10 + n * n / 1e4, Verdict.REGRESSED, "quadratic"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_exact_shapes(shape: str):
    """
    One exact count tells work that stays the same from work that grows, and how it grows, whatever the rest costs.
    """
    cost, verdict, word = SHAPES[shape]
    costs = [cost(n) for n in MIDDLES]

    found = ratios([costs])

    assert (verdict, word) == (found.verdict(1.10), word_of(costs, found, 1.10))


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "a logarithm"])
def test_noisy_shapes(shape: str):
    """
    With 3 % of noise, sixteen conversations say the same in 200 of 200 cases, or that they do not know yet.
    """
    cost, verdict, _ = SHAPES[shape]
    rng = Random(shape)

    def noisy() -> list[float]:
        return [cost(n) * rng.lognormvariate(0, 0.03) for n in MIDDLES]

    verdicts = [ratios([noisy() for _ in range(16)]).verdict(1.25) for _ in range(200)]

    assert {verdict, Verdict.UNDECIDED} >= set(verdicts)
    if shape != "a small part in a line":  # which lies at the limit, where it takes more conversations to know
        assert verdicts.count(Verdict.UNDECIDED) <= 20


@given(
    costs=st.lists(st.floats(0.1, 1e6), min_size=5, max_size=9),
    factor=st.floats(0.01, 100),
    limit=st.floats(1.01, 3),
)
def test_unit_does_not_matter(costs: list[float], factor: float, limit: float):
    """
    Costs in another unit have the same ratio.
    """
    one, other = (ratios([[value * times for value in costs]]).whole.estimate for times in (1.0, factor))

    assert one == pytest.approx(other, abs=1e-9)


@given(
    costs=st.lists(st.floats(0.1, 1e6), min_size=5, max_size=9), limits=st.tuples(st.floats(1.01, 2), st.floats(2, 9))
)
def test_wider_limit(costs: list[float], limits: tuple[float, float]):
    """
    What passes under a limit passes under a wider one.
    """
    narrow, wide = (ratios([costs]).verdict(limit) for limit in limits)

    assert (narrow, wide) != (Verdict.UNCHANGED, Verdict.REGRESSED)


def test_nothing():
    """
    A cost of nothing has not grown; something after nothing has grown without bounds.
    """
    assert Verdict.UNCHANGED is ratios([[0.0] * 6]).verdict(1.1)
    assert Verdict.REGRESSED is ratios([[0.0] * 4 + [1.0, 4.0]]).verdict(1.1)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.floats(-100, 100))
def test_bounds_move_with_the_values(values: list[float], by: float):
    """
    The estimate lies between its bounds, and moves with the values.
    """
    found, moved = located(values, 0.01), located([value + by for value in values], 0.01)

    assert found.lower <= found.estimate <= found.upper
    assert moved.estimate == pytest.approx(found.estimate + by, abs=1e-9)


@pytest.mark.parametrize(("count", "rank"), [(6, 0), (7, 1), (8, 2), (10, 6), (12, 10)])
def test_rank_of_a_bound(count: int, rank: int):
    """
    Which mean of two is the bound agrees with going through all signs that the values could have.
    """
    # Powers of two: all means of two values differ, so that a bound says which of them it is.
    values = [float(2**number) for number in range(count)]
    means = sorted((one + other) / 2 for index, one in enumerate(values) for other in values[index:])
    sums = [
        sum(place for place, sign in enumerate(signs, 1) if sign) for signs in itertools.product((0, 1), repeat=count)
    ]

    allowed = max((k for k in range(count * count) if sum(total < k for total in sums) <= 0.01 * len(sums)), default=0)

    assert rank == allowed
    assert located(values, 0.01).lower == (means[rank - 1] if rank else -math.inf)
    assert located(values, 0.01).upper == (means[-rank] if rank else math.inf)


def turns(number: int) -> list[Turn]:
    return [Turn(say=f"turn {index}", answer="yes") for index in range(number)]


@pytest.mark.parametrize("number", [512, 513, 600, 2047, 2048])
def test_stops(number: int):
    """
    The sizes double up to all of the scenario, and each is the number of messages that are said by then.
    """
    found = stops_of(turns(number), 64)

    assert 2 * number == found.messages[-1]
    assert number == found.turns[-1]
    assert found.messages[0] >= 64
    assert all(1.9 <= later / sooner <= 2.1 for sooner, later in zip(found.messages, found.messages[1:], strict=False))
    assert sum(found.spans()) == found.messages[-1] - found.messages[0]


def test_too_short():
    """
    A scenario in which nothing can be seen is refused, with the length that would do.
    """
    with pytest.raises(TooShort, match=r"100 messages are too few .* 1024 would do"):
        stops_of(turns(50), 64)


def growth(verdict: Verdict, word: str = "linear", costs: tuple[float, ...] = (1.0, 1.1, 1.3, 1.7, 2.5)) -> Growth:
    ends = tuple(SIZES[: len(costs)])
    ratio = costs[-1] / median(costs[:3])
    return Growth("talk", "tokens", "tokens", tuple(MIDDLES[: len(costs)]), ends, costs, ratio, 1.1, verdict, word)


def test_sentence():
    """
    What grows is said per thousand messages, in percent of the first costs and in its unit.
    """
    costs = tuple(100 + n / 10 for n in MIDDLES)

    said = growth(Verdict.REGRESSED, costs=costs).sentence

    # A line with 0.1 a message, and 100 + 192 / 10 half-way through the second doubling.
    assert "each 1,000 messages of conversation add 84 % per message (100 tokens)" == said
    assert "cost per message is flat up to 1,024 messages" == growth(Verdict.UNCHANGED, "flat").sentence


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (None, Verdict.REGRESSED, Verdict.REGRESSED),
        (Verdict.REGRESSED, Verdict.REGRESSED, Verdict.REGRESSED),
        (Verdict.REGRESSED, Verdict.UNCHANGED, Verdict.IMPROVED),
        (Verdict.UNCHANGED, Verdict.UNCHANGED, Verdict.UNCHANGED),
        (Verdict.UNCHANGED, Verdict.UNDECIDED, Verdict.UNDECIDED),
    ],
)
def test_comparison(before: Verdict | None, after: Verdict, verdict: Verdict):
    """
    A loop is judged by its limit; growth that was there before is no excuse, and growth that is gone is better.
    """
    made = growth(after).comparison(growth(before) if before else None)

    assert (verdict, Layer.GROWTH, "tokens_growth", "ratio") == (made.verdict, made.layer, made.metric, made.unit)
