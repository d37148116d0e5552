"""What a call costs: growth is found, counters are counted, and what would take too long is not begun."""

from __future__ import annotations

import math
from typing import Any

import pytest

from looprig.messages import Message
from looprig.trimmers.baseline import SUBJECTS, newest, reference
from looprig.trimmers.contract import Subject, contract_in, tokens
from looprig.trimmers.cost import Cost, history, measure, slope


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_slope(exponent: float):
    """
    The growth exponent is the slope on logarithmic scales.
    """
    points = [(math.log(size), math.log(3 * size**exponent)) for size in (1_000, 10_000, 100_000)]

    assert exponent == pytest.approx(slope(points), abs=1e-9)
    assert slope(points[:1]) is None


def test_counter_calls():
    """
    How often our counter is asked is exact: the reference asks for what is kept, a naive count for everything.
    """

    def counts_all(limit: int) -> Any:
        return lambda history: history[-limit // 10 :] if sum(map(tokens, history)) > limit else history

    budget = contract_in("tokens")
    costs = [
        measure(Subject(name="mine", make=make, contract=budget), sizes=(100, 1_000))
        for make in (lambda limit: reference(limit, tokens), counts_all)
    ]
    sizes = [len(history(100)), len(history(1_000))]

    assert dict(zip((100, 1_000), sizes, strict=True)) == costs[1].counted
    assert costs[0].counted[1_000] <= 101


def test_expected_to_take_too_long():
    """
    A length at which a call would take longer than it may is skipped, with what it would have taken.
    """

    def quadratic(_: int) -> Any:
        return lambda history: [m for m in history if sum(1 for other in history if other is m)][-10:]

    cost = measure(Subject(name="mine", make=quadratic), sizes=(50, 500, 50_000), call_limit_s=0.5)

    assert {50, 500} == set(cost.us)
    assert "would take about" in cost.skipped[50_000]


def test_failing_trimmer():
    """
    A trimmer that raises has no cost, and the reason is there.
    """

    def raises(_: list[Message]) -> list[Message]:
        raise ValueError("too long")

    cost = measure(Subject(name="mine", make=lambda _: raises), sizes=(100, 1_000))

    assert {} == cost.us
    assert {100: "it raised ValueError: too long"} == cost.skipped
    assert cost.exponent is None


async def slowly(given: list[Message]) -> list[Message]:
    return given[-5:]


@pytest.mark.parametrize(
    "subject",
    [
        *SUBJECTS,
        Subject(name="async", make=lambda _: slowly),
        Subject(name="view", make=newest, contract=contract_in("messages", mode="view")),
    ],
    ids=lambda subject: subject.name,
)
def test_every_kind_is_timed(subject: Subject):
    """
    Lists, coroutines and views are timed, and set against a slice of the end.
    """
    cost = measure(subject, sizes=(200,))

    assert 0 < cost.us[200] < 1e6
    assert cost.ratio(200) is not None


def test_history_to_be_timed():
    """
    The history that is timed is about as long as it is called, and ends where a model is asked.
    """
    timed = history(1_000)

    assert 990 <= len(timed) <= 1_000
    assert "user" == timed[-1].role


def test_ratio_without_a_figure():
    """
    Nothing is said of a length that was not measured.
    """
    assert Cost("mine").ratio(10_000) is None
