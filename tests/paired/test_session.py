"""Workers and sessions: what is planted is measured, and whatever a loop does to its process comes back as words."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from math import exp
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig import content
from looprig.home import Home, Party, here
from looprig.paired import session
from looprig.paired.crew import Crew, Design, Draw, design_for
from looprig.paired.session import Bounds, TooLong, drawn, play
from looprig.paired.worker import Side
from looprig.subject import LoopError
from looprig.workload import pack

LOOPS = "tests/paired/loops.py"

ROOT = Path(__file__).parents[2]

BOUNDS = Bounds(60.0, 300.0)


def _party(factory: str, home: Home | None = None) -> Party:
    return Party(home or Home(sys.executable, ROOT, (ROOT,)), f"{LOOPS}:{factory}")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """Ten turns of one message and one answer."""
    path = tmp_path / "scenario"
    path.write_bytes(pack(content.make_scenario("seed_1000_messages", 1, {"messages": "20"})))
    return path


@pytest.mark.parametrize("design", Design)
def test_planted_work_is_measured(scenario: Path, monkeypatch: pytest.MonkeyPatch, design: Design):
    """
    Ten times the work is measured as several times the CPU time in either design, and a copy of BEFORE as the same.
    """
    monkeypatch.setattr(session, "BLOCK_NS", 2_000_000)
    parties = [_party("make"), _party("make,units=10"), _party("make")]

    found, size = play(parties, scenario, drawn(Random(1), 3), design, None, BOUNDS)

    assert 4.0 < exp(found.log_ratio) < 15.0
    assert found.control is not None
    assert 0.5 < exp(found.control) < 2.0
    assert found.after_ns > 4 * found.before_ns
    assert size.blocks <= found.blocks <= size.most_blocks
    assert found.cpu_s > 0.0


def test_what_a_loop_prints_is_no_answer(scenario: Path, monkeypatch: pytest.MonkeyPatch):
    """
    A loop may print as much as it likes.
    """
    monkeypatch.setattr(session, "BLOCK_NS", 1_000_000)
    parties = [_party("talking"), _party("talking")]

    found, _ = play(parties, scenario, drawn(Random(1), 2), Design.TOGETHER, None, BOUNDS)

    assert found.before_ns > 0


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("missing", "has no 'missing'"),
        ("telling", "the factory telling raised RuntimeError"),
        ("ill,how=dies", "its process ended with exit code 7: nobody catches this"),
    ],
)
def test_a_loop_that_cannot_be_timed(scenario: Path, factory: str, said: str):
    """
    Whatever goes wrong in a worker is told in words, with the loop that did it.
    """
    parties = [_party("make"), _party(factory)]
    with pytest.raises(LoopError) as caught:
        play(parties, scenario, Draw(None, 1, (0, 1)), Design.APART, None, BOUNDS)

    assert said in str(caught.value)
    assert factory in str(caught.value)


def test_turns_that_raise_are_counted(scenario: Path, monkeypatch: pytest.MonkeyPatch):
    """
    A side whose turns raise is fast, and says so.
    """
    monkeypatch.setattr(session, "BLOCK_NS", 1_000_000)
    parties = [_party("make"), _party("make,units=many")]

    found, _ = play(parties, scenario, drawn(Random(1), 2), Design.TOGETHER, None, BOUNDS)

    assert 0 == found.before_failed.turns
    assert 10 == found.after_failed.turns
    assert "TypeError" in found.after_failed.first


def test_a_loop_that_hangs(scenario: Path):
    """
    A session has a limit; then its processes are ended, and the error says so.
    """
    with pytest.raises(LoopError, match=r"a session did not end within 3 s: the loop hangs"):
        play([_party("ill,how=hangs")] * 2, scenario, Draw(None, 1, (0, 1)), Design.TOGETHER, None, Bounds(60, 3))


def test_an_interpreter_that_is_not_there(scenario: Path):
    """
    A home whose interpreter is gone is named.
    """
    home = Home("/no/such/python", ROOT)
    with pytest.raises(LoopError, match=r"/no/such/python in .* cannot be started"):
        play([_party("make", home)] * 2, scenario, Draw(None, 1, (0, 1)), Design.TOGETHER, None, BOUNDS)


def test_a_scenario_that_is_too_long(scenario: Path, monkeypatch: pytest.MonkeyPatch):
    """
    What would take longer than there is time for is not begun.
    """
    with pytest.raises(TooLong) as caught:
        play([_party("make,units=20")] * 2, scenario, Draw(None, 1, (0, 1)), Design.TOGETHER, None, Bounds(1e-4, 300))

    assert caught.value.seconds > 1e-4


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins no process to a core")
def test_both_sides_are_on_the_core_with_the_hash_seed_that_were_drawn(scenario: Path):
    """
    The worker is where the draw says, with the hash seed of the draw.
    """
    draw = drawn(Random(5), 2)
    with pytest.raises(LoopError, match=rf"cores \[{draw.core}\] seed {draw.hash_seed}"):
        play([_party("telling")] * 2, scenario, draw, Design.TOGETHER, None, BOUNDS)


def test_designs():
    """
    Sides with one home share a process; others, such as two revisions, do not.
    """
    other = Home(sys.executable, ROOT, (ROOT,), revision="abc")

    assert Design.TOGETHER == design_for([Party(here(), "a"), Party(here(), "b")])
    assert Design.APART == design_for([_party("make"), _party("make", other)])


def test_a_worker_imports_little():
    """
    Each session pays for what a worker imports: no Faker, no command line, no load test, no scenario files.
    """
    code = "import sys, looprig.paired.worker; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"faker", "click", "locust", "gevent", "pytest", "tabulate", "looprig.runner", "looprig.metrics"}
    found = heavy & set(done.stdout.split())

    assert not found


class _Early:
    """A workload whose play number *n* ends after as many turns as the list says."""

    def __init__(self, turns: list[int]) -> None:
        self._turns = iter(turns)

    def play(self, stops: Mapping[int, Callable[[], None]]) -> None:
        for turn in range(next(self._turns)):
            if turn in stops:
                stops[turn]()


def test_a_play_that_ends_early_stays_in_step():
    """
    A play has as many legs as every other one, wherever it ends; the missing ones cost nothing.
    """
    workload: Any = _Early([10, 3, 10, 0, 10])
    side = Side(workload)
    side.cut(range(2, 10, 2))

    plays = [[side.go() for _ in range(5)] for _ in range(4)]

    assert all(cpu > 0 for cpu, _ in plays[0])
    assert [(0, 0)] * 3 == plays[1][2:]
    assert all(cpu > 0 for cpu, _ in plays[2])
    assert [(0, 0)] * 4 == plays[3][1:]


@given(st.permutations(range(3)), st.integers(0, 5))
def test_each_side_begins_as_often_as_the_others(order: tuple[int, ...], start: int):
    """
    Over six legs of three sides each one stands twice in each seat, whichever comes first.
    """
    legs = [session._leg(order, start + number) for number in range(6)]

    assert all({0: 2, 1: 2, 2: 2} == {side: seats.count(side) for side in order} for seats in zip(*legs, strict=True))


def test_blocks_that_disagree_are_not_enough():
    """
    Equal blocks agree; blocks that differ by a tenth do not, and enough that differ by a hundredth do.
    """

    def blocks(count: int, spread: int) -> list[session.Times]:
        return [{0: (1000, 0), 1: (1000 + spread * (-1) ** number, 0)} for number in range(count)]

    assert session._agreed(blocks(6, 0))
    assert not session._agreed(blocks(6, 100))
    assert not session._agreed(blocks(6, 15))
    assert session._agreed(blocks(20, 15))


def test_draws_repeat():
    """
    One seed draws one session, another seed another one.
    """
    assert drawn(Random(3), 2) == drawn(Random(3), 2) != drawn(Random(4), 2)


def test_crew_ends_its_processes(scenario: Path):
    """
    An error in the block ends the workers, too.
    """
    crew = Crew([_party("make")], scenario, Draw(None, 1, (0,)), Design.TOGETHER, 300.0)
    with pytest.raises(KeyError), crew:
        raise KeyError

    assert all(worker._process.poll() is not None for worker in crew._workers)
