"""The measuring of error rates: what is planned, what is gone on with, and a page that says no where it has to."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.perf import gate, gate_page
from tests.perf.neighbours import CONDITIONS


def _line(planted: float, verdict: str, condition: str = CONDITIONS[0], **more: Any) -> dict[str, Any]:
    return {
        "kind": "paired", "planted": planted, "verdict": verdict, "condition": condition, "scenario": "many_systems",
        "ratio": 1.0 + planted, "log_ratios": [planted] * 5, "cpu_s": 2.0, "seconds": 3.0, "load": 1.0,
        "at": "2026-12-01T00:00:00+00:00", "looprig": "0.1.0", "machine": {"cores": 2}, **more,
    }  # fmt: skip


def _lines(alarms: int = 0, caught: int = 100, better: int = 0) -> list[dict[str, Any]]:
    return [
        *(_line(0.0, "regressed" if number < alarms else "unchanged") for number in range(600)),
        *(_line(0.02, "improved" if number < better else "unchanged") for number in range(100)),
        *(_line(0.05, "regressed" if number < caught else "undecided") for number in range(100)),
        *(_line(0.10, "regressed") for _ in range(100)),
    ]


def test_gates_are_spread_evenly():
    """
    A third of each kind has each condition and each scenario, names are single, and the first tenth has every kind.
    """
    planned = gate.gates()

    assert sum(gate.GATES.values()) == len({each.name for each in planned})
    same = [each for each in planned if (each.kind, each.planted) == ("paired", 0.0)]
    assert {198, 201} == set(Counter(each.condition for each in same).values())
    assert {200} == set(Counter(each.scenario for each in same).values())
    assert set(gate.GATES) == {(each.kind, each.planted) for each in planned[: len(planned) // 10]}


def test_half_a_line_is_left_out(tmp_path: Path):
    """
    A run that was killed while it wrote loses that gate and no other.
    """
    path = tmp_path / "rates.jsonl"
    path.write_text(json.dumps({"kind": "size"}) + '\n{"kind": "pai')

    assert [{"kind": "size"}] == gate.read(path)
    assert [] == gate.read(tmp_path / "missing")


def test_page_of_a_run_that_holds():
    """
    Every target holds, and a share of none has its upper bound.
    """
    made = gate_page.page(_lines())

    assert "**NO**" not in made
    assert "0 of 600 (at most 0.5%)" in made


def test_page_of_a_run_that_does_not():
    """
    A fourth alarm, a third miss, one "improved" and gates that are missing are each said.
    """
    assert 1 == gate_page.page(_lines(alarms=4)).count("**NO**")
    assert 0 == gate_page.page(_lines(alarms=3)).count("**NO**")
    assert 1 == gate_page.page(_lines(caught=97)).count("**NO**")
    assert 1 == gate_page.page(_lines(better=1)).count("**NO**")
    assert 4 == gate_page.page(_lines()[:100]).count("**NO**")
    assert "Nothing was measured yet." in gate_page.page([])
