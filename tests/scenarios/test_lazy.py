"""Long scenarios: what a turn costs does not depend on where it stands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise

import pytest

LAZY = pytest.mark.parametrize("name", ["long_conversation", "seed_1000_messages"])


def lines_run(work: Callable[[], object]) -> int:
    """Count the lines of Python that *work* runs: the same on every machine."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@LAZY
@pytest.mark.parametrize(("first", "second"), [(10, 399_990), (9, 399_999)], ids=["plain", "with a tool"])
def test_cost_is_flat(name: str, first: int, second: int, make):
    """
    A turn takes as many steps at the end of a million messages as at their beginning, and few.
    """
    turns = make(name, messages=1_000_000).turns
    early, late = lines_run(lambda: turns[first]), lines_run(lambda: turns[second])

    assert early == late
    assert early < 60


@LAZY
def test_making_is_flat(name: str, make):
    """
    A scenario of a million messages takes as many steps to make as one of a thousand.
    """
    make(name)  # import it first
    small = lines_run(lambda: make(name, messages=1_000))
    large = lines_run(lambda: make(name, messages=1_000_000))

    # Finalizers of what other tests left behind may run in between, and add a few lines.
    assert abs(large - small) < small / 100


@LAZY
def test_turns_differ(name: str, make):
    """
    Picking by arithmetic does not fall into a short cycle: neighbouring turns rarely say the same.
    """
    turns = make(name, messages=20_000).turns
    said = [turn.say.partition(" ")[2] for turn in turns]
    answers = [turn.answer for turn in turns]

    assert len(set(said)) == len(set(answers)) == 256
    assert sum(one == other for one, other in pairwise(said)) < len(said) / 100
    assert sum(one == other for one, other in zip(said, answers, strict=True)) < len(said) / 100
