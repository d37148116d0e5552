"""Instructions: a planted percent reads as one, equal loops as nothing; and what is said where valgrind is missing."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from looprig import instructions
from looprig.instructions import client, valgrind
from looprig.instructions.judge import _judged
from looprig.instructions.valgrind import Count, Window, count
from looprig.subject import LoopError
from looprig.verdicts import Layer, Verdict
from tests.counted.job import BROKEN, SILENT, job, planted

MISSING = instructions.missing()

needs_valgrind = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@needs_valgrind
def test_one_percent():
    """
    One percent of more work reads as one percent more instructions, and is a regression; equal counts are needed.
    """
    one = job(planted(units=100), planted(units=101))

    (found,) = instructions.judge([one], instructions.Plan(hash_seeds=(0,)), SILENT)

    assert found.ratio is not None
    assert 1.008 <= found.ratio <= 1.012
    assert (Verdict.REGRESSED, Layer.INSTRUCTIONS) == (found.verdict, found.layer), found.note


@needs_valgrind
def test_parts():
    """
    The parts of a window are counted each by itself.
    """
    one = job(planted(), planted())

    (parts,) = count(one.before, [one.packed_scenario], [Window(0, 1, (10, 20, 30))], 0)

    assert 3 == len(parts.parts)
    assert max(parts.parts) < 4 * min(parts.parts)
    assert not parts.coroutine


@needs_valgrind
def test_loop_that_cannot_be_counted():
    """
    A loop that cannot be made is an error that says why, also through valgrind and a fork.
    """
    broken = job(planted(), f"{BROKEN}:raises")
    with pytest.raises(LoopError, match="no disk today"):
        count(broken.after, [broken.packed_scenario], [Window(0)], 0)


def test_without_valgrind(monkeypatch: pytest.MonkeyPatch):
    """
    Where valgrind is missing, that is said with what to do, and everything is undecided.
    """
    monkeypatch.setattr(valgrind, "machine_known", lambda: True)
    monkeypatch.setattr(shutil, "which", lambda name: None)

    (comparison,) = instructions.judge([job(planted(), planted())], instructions.Plan(), SILENT)

    assert Verdict.UNDECIDED is comparison.verdict
    assert "valgrind is not installed, so instructions are not counted: apt-get install valgrind" == comparison.note


@pytest.mark.skipif(not client.machine_known(), reason="requests to valgrind are known for Linux on two machines alone")
def test_request_outside_of_valgrind():
    """
    A request that nobody hears does nothing.
    """
    request = client.connect()

    client.zero(request)

    assert not client.running(request)


def counts(*totals: int, coroutine: bool = False) -> list[Count]:
    return [Count((total,), coroutine) for total in totals]


@pytest.mark.parametrize(
    ("before", "after", "coroutine", "verdict", "says"),
    [
        ((100, 200, 300, 100), (101, 201, 310, 101), False, Verdict.REGRESSED, "+0.500 to +3.333 %"),
        ((1000, 2000, 3000, 1000), (1010, 1990, 3000, 1010), False, Verdict.UNCHANGED, "-0.500 to +1.000 %"),
        ((1000, 1000, 1000, 1000), (1008, 1008, 1008, 1008), True, Verdict.UNCHANGED, "limit 1.0%"),
        ((1000, 1000, 1000, 1000), (1008, 1008, 1008, 1008), False, Verdict.REGRESSED, "limit 0.5%"),
        ((1000, 1000, 1000, 1000), (900, 900, 900, 900), True, Verdict.IMPROVED, "-10.000 to -10.000 %"),
        ((100, 200, 300, 100), (101, 201, 310, 102), False, Verdict.UNDECIDED, "two counts of after differ"),
        ((100, 200, 300, 101), (100, 200, 300, 101), False, Verdict.UNDECIDED, "of before and of after differ"),
        (
            (10**6,) * 4,
            (10**6, 10**6, 10**6, 10**6 + 20),
            False,
            Verdict.UNCHANGED,
            "repeats to 20.0 parts in a million",
        ),
    ],
)
def test_verdict(before: Any, after: Any, coroutine: bool, verdict: Verdict, says: str):
    """
    The median over the hash seeds decides, with more room for coroutines; the last count has to be the first one.
    """
    one = job(planted(), planted())
    sides = {(0, 0): counts(*before, coroutine=coroutine), (1, 0): counts(*after, coroutine=coroutine)}

    comparison = _judged(0, one, sides, instructions.Plan(hash_seeds=(0, 1, 2)))

    assert verdict is comparison.verdict
    assert says in comparison.note
