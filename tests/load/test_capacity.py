"""The capacity model: its laws, its fit, and fleets that are large enough and no larger."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.load.capacity import Cost, NoFit, Size, expected, fit, fleet, off

COSTS = st.builds(
    Cost,
    turn_s=st.floats(1e-5, 0.1),
    idle_share=st.floats(0, 0.1),
    session_bytes=st.floats(0, 1e6),
    idle_bytes=st.floats(1e6, 1e8),
)
TIMES = st.floats(0.01, 100)


def size(cost: Cost, sessions: float, response_s: float, think_s: float) -> Size:
    """Return what is measured of a process that keeps to the model."""
    made = expected(cost, sessions, response_s, think_s)
    return Size(
        sessions=sessions,
        turns_per_s=made.turns_per_s,
        cpu_share=made.cpu_share,
        memory_bytes=made.memory_bytes,
        response_s=response_s,
        think_s=think_s,
    )


@given(cost=COSTS, response=TIMES, think=TIMES, small=st.integers(10, 100), more=st.integers(50, 1000))
def test_fit(cost: Cost, response: float, think: float, small: int, more: int):
    """
    From two sizes of a process that keeps to the model its costs come out, and so does what a third size measures.
    """
    found = fit(size(cost, small, response, think), size(cost, small + more, response, think))

    assert found.turn_s == pytest.approx(cost.turn_s, rel=1e-3)
    assert found.session_bytes == pytest.approx(cost.session_bytes, rel=1e-3, abs=1e-2)
    third = size(cost, 10 * (small + more), response, think)
    again = expected(found, third.sessions, response, think)
    assert abs(off(again.cpu_share, third.cpu_share)) < 1e-3
    assert abs(off(again.memory_bytes, third.memory_bytes)) < 1e-3


def test_littles_law():
    """
    N = X * (R + Z) holds for people who are simulated one by one, whatever their times are distributed like.
    """
    random = Random(1)
    people, until = 50, 2000.0
    turns = 0
    responses = pauses = 0.0
    for _ in range(people):
        now = 0.0
        while now < until:
            response, pause = random.paretovariate(3), random.lognormvariate(1, 1)
            responses, pauses, turns = responses + response, pauses + pause, turns + 1
            now += response + pause
    cost = Cost(turn_s=0.01, idle_share=0, session_bytes=0, idle_bytes=0)

    predicted = expected(cost, people, responses / turns, pauses / turns)

    assert off(predicted.turns_per_s, turns / until) == pytest.approx(0, abs=0.01)


@given(
    cost=COSTS,
    sessions=st.integers(1, 10**6),
    response=TIMES,
    think=TIMES,
    cores=st.integers(1, 64),
    memory=st.floats(1e9, 1e12),
)
def test_fleet(cost: Cost, sessions: int, response: float, think: float, cores: int, memory: float):
    """
    A fleet's workers are no busier than they may be, its hosts hold it, and with one fewer of either it would not do.
    """
    made = fleet(cost, sessions, response_s=response, think_s=think, cores=cores, memory_bytes=memory)

    busy = cost.idle_share + made.turns_per_s * cost.turn_s / made.workers
    assert busy <= 0.6 * (1 + 1e-9)
    if made.workers > 1:
        assert cost.idle_share + made.turns_per_s * cost.turn_s / (made.workers - 1) > 0.6 * (1 - 1e-9)
    assert made.hosts * cores >= made.workers
    assert made.hosts * memory >= made.memory_bytes * (1 - 1e-9)
    fewer = made.hosts - 1
    assert fewer * cores < made.workers or fewer * memory < made.memory_bytes
    assert made.limit == ("memory" if math.ceil(made.workers / cores) < made.hosts else "cores")


@given(cost=COSTS, sessions=st.integers(1, 10**5), times=st.integers(2, 10))
def test_fleets_grow(cost: Cost, sessions: int, times: int):
    """
    More sessions never need fewer workers or hosts.
    """
    small, large = (
        fleet(cost, number, response_s=1, think_s=9, cores=8, memory_bytes=16e9)
        for number in (sessions, sessions * times)
    )

    assert small.workers <= large.workers
    assert small.hosts <= large.hosts


def test_sizes_that_show_nothing():
    """
    Sizes that do not differ, or of which the larger cost less, are refused.
    """
    cost = Cost(turn_s=0.01, idle_share=0, session_bytes=1000, idle_bytes=1e7)
    small, large = size(cost, 10, 1, 1), size(cost, 20, 1, 1)

    with pytest.raises(NoFit, match="more sessions and more turns"):
        fit(large, small)
    with pytest.raises(NoFit, match="more turns took less CPU time"):
        fit(size(Cost(turn_s=0.03, idle_share=0, session_bytes=0, idle_bytes=0), 10, 1, 1), large)


def test_senseless_fleets():
    """
    A worker that is too much by itself, and sessions that take no time, are refused.
    """
    heavy = Cost(turn_s=0.01, idle_share=0.7, session_bytes=0, idle_bytes=1e7)
    with pytest.raises(ValueError, match="a worker by itself"):
        fleet(heavy, 10, response_s=1, think_s=1, cores=1, memory_bytes=1e9)
    with pytest.raises(ValueError, match="neither waits nor thinks"):
        expected(heavy, 10, 0, 0)
