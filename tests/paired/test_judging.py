"""Verdicts: when a course ends, what its comparison says, and that a planted slowdown is found from end to end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from math import log
from pathlib import Path
from typing import Any

import pytest

from looprig import content, paired
from looprig.home import Home, Job, Party
from looprig.paired import Plan, judging, measure, session
from looprig.paired.crew import Draw, Failed
from looprig.paired.rule import LOOKS, decided
from looprig.paired.session import Session, Size, TooLong
from looprig.progress import Tell
from looprig.verdicts import Layer, Verdict
from looprig.workload import pack

ROOT = Path(__file__).parents[2]

HOME = Home(sys.executable, ROOT, (ROOT,))

SILENT = Tell(lambda number, name: None, lambda turn, turns: None)

WELL = Failed(0.0, "")


def _job(before: str, after: str) -> Job:
    scenario = content.make_scenario("seed_1000_messages", 1, {"messages": "20"})
    (job,) = paired.jobs_of([scenario], *(Party(HOME, f"tests/paired/loops.py:{name}") for name in (before, after)))
    return job


def _session(ratio: float, control: float | None = None, busy: float = 1.0, failed: Failed = WELL) -> Session:
    kept = None if control is None else log(control)
    return Session(Draw(0, 1, (0, 1)), log(ratio), kept, 200_000, 200_000 * ratio, busy, 0.5, 6, WELL, failed)


def _judged(monkeypatch: pytest.MonkeyPatch, sessions: Sequence[Session], **plan: Any) -> paired.Timed:
    """Judge sessions that were made up."""
    left = iter(sessions)
    monkeypatch.setattr(judging, "play", lambda *_: (next(left), Size(1, 1, 10)))
    (timed,) = measure([_job("make", "make")], Plan(**plan), SILENT)
    return timed


def _around(ratio: float, count: int = 20) -> Iterator[float]:
    return (ratio + 0.002 * (-1) ** number for number in range(count))


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(1.0, Verdict.UNCHANGED), (1.08, Verdict.REGRESSED), (0.92, Verdict.IMPROVED)]
)
def test_it_ends_as_soon_as_there_is_a_verdict(monkeypatch: pytest.MonkeyPatch, ratio: float, verdict: Verdict):
    """
    Sessions that agree are five; the comparison has ratio, interval, layer, and what it rests on in words.
    """
    timed = _judged(monkeypatch, [_session(each) for each in _around(ratio)])
    found = timed.comparison

    assert verdict == found.verdict
    assert LOOKS[0] == len(timed.log_ratios)
    assert Layer.CPU_TIME == found.layer
    assert found.interval is not None
    assert found.ratio is not None
    assert found.interval[0] < found.ratio < found.interval[1]
    assert found.before == pytest.approx(10.0)  # 200 us a play, of 20 messages
    assert found.note.startswith("5 pairs in ")
    assert "margin 0.02, reach 0.05" in found.note
    assert 2.5 == timed.cpu_s


def test_the_last_look_without_a_verdict(monkeypatch: pytest.MonkeyPatch):
    """
    Sessions that never agree end at the last look, undecided, and the stored ratios say the same again.
    """
    plan = Plan()
    timed = _judged(monkeypatch, [_session(1.0 + 0.2 * (-1) ** number) for number in range(20)])

    assert Verdict.UNDECIDED == timed.comparison.verdict
    assert "20 pairs were not enough" in timed.comparison.note
    seen = decided(timed.log_ratios, plan.limits(1))
    assert seen is not None
    assert timed.comparison.interval == seen.interval


def test_more_scenarios_share_the_error(monkeypatch: pytest.MonkeyPatch):
    """
    What is enough for one scenario is not for twenty.
    """
    ratios = [1.03, 1.037, 1.034, 1.041, 1.036, 1.033, 1.04] * 3
    alone = _judged(monkeypatch, [_session(each) for each in ratios])
    endless = (_session(each) for _ in range(20) for each in ratios[:20])
    monkeypatch.setattr(judging, "play", lambda *_: (next(endless), Size(1, 1, 10)))
    among = measure([_job("make", "make")] * 20, Plan(), SILENT)[0]

    assert Verdict.REGRESSED == alone.comparison.verdict
    assert len(among.log_ratios) > len(alone.log_ratios)


def test_an_unfit_machine(monkeypatch: pytest.MonkeyPatch):
    """
    Where a copy of BEFORE comes out slower than BEFORE, nothing is said of AFTER.
    """
    timed = _judged(monkeypatch, [_session(each, control=each) for each in _around(1.08)], control=True)

    assert Verdict.UNDECIDED == timed.comparison.verdict
    assert "the machine is unfit" in timed.comparison.note
    assert 5 == len(timed.control)


def test_work_that_is_not_the_same(monkeypatch: pytest.MonkeyPatch):
    """
    A loop that became fast because its turns raise did not improve.
    """
    failed = Failed(10.0, "ValueError: no")
    timed = _judged(monkeypatch, [_session(each, failed=failed) for each in _around(0.5)])

    assert Verdict.UNDECIDED == timed.comparison.verdict
    assert "0 turns of a play raised before and 10 after (ValueError: no)" in timed.comparison.note


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch):
    """
    Wall time is no verdict, and a reader hears of it.
    """
    timed = _judged(monkeypatch, [_session(each, busy=2.0) for each in _around(1.0)])

    assert Verdict.UNCHANGED == timed.comparison.verdict
    assert "the machine was busy: wall time is 2.0 times CPU time" in timed.comparison.note


def test_a_budget_that_is_spent(monkeypatch: pytest.MonkeyPatch):
    """
    A budget that is gone before the first look leaves it undecided, without a ratio.
    """
    now = iter(range(0, 10_000, 4))
    monkeypatch.setattr("looprig.paired.judging.time.monotonic", lambda: float(next(now)))
    timed = _judged(monkeypatch, [_session(each) for each in _around(1.08)], budget_s=10.0)

    assert Verdict.UNDECIDED == timed.comparison.verdict
    assert timed.comparison.ratio is None
    assert "the budget of 10 s is spent" in timed.comparison.note


def test_a_scenario_that_is_too_long(monkeypatch: pytest.MonkeyPatch):
    """
    A scenario of which no five pairs fit into the budget is not begun, and the note says what to do.
    """

    def too_long(*_: Any) -> Any:
        raise TooLong(9.0)

    monkeypatch.setattr(judging, "play", too_long)
    (timed,) = measure([_job("make", "make")], Plan(), SILENT)

    assert Verdict.UNDECIDED == timed.comparison.verdict
    assert timed.comparison.before is None
    assert "a pair takes 9.0 s and 5 are needed" in timed.comparison.note
    assert "make the scenario shorter" in timed.comparison.note


def test_from_end_to_end(monkeypatch: pytest.MonkeyPatch):
    """
    Ten times the work is a regression, and its mirror an improvement; the same seed draws the same sessions.
    """
    monkeypatch.setattr(session, "BLOCK_NS", 1_000_000)
    plan = Plan(budget_s=500.0, seed=7)
    there, back = measure([_job("make", "make,units=10"), _job("make,units=10", "make")], plan, SILENT)

    assert Verdict.REGRESSED == there.comparison.verdict
    assert Verdict.IMPROVED == back.comparison.verdict
    assert [each.draw for each in there.sessions[:5]] == [each.draw for each in back.sessions[:5]]
    assert 7 == there.seed


@pytest.mark.parametrize(("plan", "said"), [({"budget_s": 0.0}, "the budget"), ({"margin": 0.1}, "below the reach")])
def test_a_plan_that_cannot_work(plan: dict[str, float], said: str):
    """
    A plan that could never decide is refused.
    """
    with pytest.raises(ValueError, match=said):
        Plan(**plan)  # type: ignore[arg-type]


def test_scenarios_are_packed():
    """
    A job holds the scenario with all its turns.
    """
    assert _job("make", "make").packed_scenario == pack(
        content.make_scenario("seed_1000_messages", 1, {"messages": "20"})
    )
