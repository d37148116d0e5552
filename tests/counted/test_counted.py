"""Calls and bulk bytes: the same in every process, and different where a loop does something else."""

from __future__ import annotations

import functools
import gc
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig import counted
from looprig.counted.judge import judged, ratio_of
from looprig.counted.meter import FREE_BYTES, counting
from looprig.counted.process import all_at_once, ask
from looprig.home import Party, here
from looprig.subject import LoopError
from looprig.verdicts import Comparison, Layer, Verdict
from tests.counted.job import BROKEN, SILENT, job, planted

WORKER = "looprig.counted.worker"


def asked(loop: str, messages: int = 120, **more: Any) -> dict[str, Any]:
    return ask(Party(here(), loop), WORKER, {}, [job(loop, loop, messages).packed_scenario], **more)


def compared(before: str, after: str, messages: int = 120) -> dict[str, Comparison]:
    found = counted.judge([job(before, after, messages)], counted.Plan(), SILENT)
    return {each.metric: each for each in found}


@pytest.mark.parametrize("loop", ["reference", planted()])
def test_repeats(loop: str):
    """
    Fresh processes, each with another hash seed, count the same to the last digit, with coroutines and without.
    """
    packed = job(loop, loop).packed_scenario
    work = [functools.partial(ask, Party(here(), loop), WORKER, {}, [packed], hash_seed=seed) for seed in range(4)]

    counts = list(all_at_once(work))

    assert [counts[0]] * 4 == counts


def test_equal_loops():
    """
    A loop against itself is unchanged, with a ratio of exactly one, and both are of the first layer.
    """
    found = compared("reference", "reference")

    assert {"calls_per_message", "bulk_bytes_per_message"} == found.keys()
    assert {(Verdict.UNCHANGED, 1.0, Layer.COUNTERS)} == {
        (each.verdict, each.ratio, each.layer) for each in found.values()
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("reference", planted("copying")),
        (planted(), planted(extra="copy")),
        (planted(), planted(extra="slice")),
    ],
    ids=["the reference loop", "list(log)", "log[:]"],
)
def test_copy_of_the_history(before: str, after: str):
    """
    One run finds a copy of the history per message, also where it is made inside of C code and is no call at all.
    """
    found = compared(before, after, 400)

    assert Verdict.REGRESSED is found["bulk_bytes_per_message"].verdict


def test_calls_do_not_see_a_copy():
    """
    That a slice is longer does not show in calls, but in memory.
    """
    slices = (planted(extra="slice"), planted(extra="slice", twin="on"))
    long, short = (asked(loop, 400) for loop in slices)

    assert long["calls"] == short["calls"]
    assert long["bulk_bytes"] > 2 * short["bulk_bytes"]


@pytest.mark.parametrize("loop", ["unsteady", "hashes"])
def test_what_does_not_repeat_is_not_judged(loop: str):
    """
    A side whose two counts differ is undecided, and the note says which one it is.
    """
    found = compared(planted(), f"{BROKEN}:{loop}")["calls_per_message"]

    assert Verdict.UNDECIDED is found.verdict
    assert "two counts of after differ: not judged" == found.note


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (f"{BROKEN}:raises", "the factory raises raised OSError: no disk today"),
        (f"{BROKEN}:dies", "ended with 7 and without an answer; it said last:\n  about to die"),
        (f"{BROKEN}:nothing", "has no 'nothing'"),
        ("no_such_module:loop", "there is no module 'no_such_module'"),
    ],
)
def test_loop_that_cannot_be_counted(spec: str, says: str):
    """
    What is wrong with a loop is said in one error that names it.
    """
    with pytest.raises(LoopError) as caught:
        asked(spec)

    assert says in str(caught.value)
    assert spec in str(caught.value)


def test_loop_that_hangs():
    """
    A process that gives no answer is stopped.
    """
    with pytest.raises(LoopError, match="no answer within 3 s"):
        asked(f"{BROKEN}:hangs", timeout_s=3)


def test_loop_that_prints():
    """
    What a loop prints does not get into the answer.
    """
    assert asked(f"{BROKEN}:chatty")["calls"] > 0


def test_counting():
    """
    Calls are counted, Python's and C's; a list that is given back at once is counted but for what is free.
    """
    items = list(range(10_000))

    def calls() -> None:
        len(items)
        items.count(1)

    with counting() as nothing:
        pass
    with counting() as work:
        calls()
    with counting() as copying:
        items[:]

    assert 3 == work.calls - nothing.calls  # one of Python, two of C
    assert 0 == nothing.bulk_bytes == work.bulk_bytes
    size = sys.getsizeof(items[:])
    assert size - 2 * FREE_BYTES <= copying.bulk_bytes <= size
    assert gc.isenabled()
    assert sys.getprofile() is None


@given(before=st.floats(1, 1e9), change=st.floats(-0.9, 9.0), limit=st.floats(0.0, 0.5))
def test_verdict(before: float, change: float, limit: float):
    """
    A change within the limit is none; beyond it, more is worse and less is better.
    """
    ratio = ratio_of(before, before * (1 + change))

    verdict = judged(ratio, limit)

    expected = Verdict.REGRESSED if ratio > 1 + limit else Verdict.IMPROVED if ratio < 1 - limit else Verdict.UNCHANGED
    assert expected is verdict


def test_from_nothing():
    """
    Something where there was nothing is worse, nothing where there was nothing is unchanged.
    """
    assert Verdict.REGRESSED is judged(ratio_of(0, 1), 0.005)
    assert Verdict.UNCHANGED is judged(ratio_of(0, 0), 0.005)
