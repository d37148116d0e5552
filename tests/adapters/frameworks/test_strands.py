"""Strands' agent, and what its sliding window makes of a long turn."""

from __future__ import annotations

import functools

from looprig.adapters import strands
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios without a finding: its window of 40 messages, the default, is not reached.
    """
    outcomes = check_adapter(strands.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_calls_of_a_round_run_at_once():
    """
    All calls of a reply run together, those too that write the same file.
    """
    outcome = play(strands.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


def test_window_within_a_long_turn():
    """
    A window that ends in a turn without another user's message is cut before a call, and requests start with that.

    It is the framework's doing: where it finds no user's message to start with, it takes the next group of calls.
    Its trim comes at the end of a turn, so that only the next turn is sent like this.
    """
    outcome = play(functools.partial(strands.make, window=10), "long_tool_chain", rounds=12)

    assert {"LR104": 1} == outcome.broken


def test_window_at_every_request():
    """
    Trimmed before each request, a turn longer than the window loses the question that it is to answer.
    """
    loop = functools.partial(strands.make, window=10, per_turn=True)
    outcome = play(loop, "long_tool_chain", rounds=12)

    assert {"LR102": 8, "LR104": 9} == outcome.broken


def test_call_without_a_name():
    """
    A call of a tool without a name is lost, and the history goes on with what nobody said.

    It is the framework's doing: it writes "[blank text]" in place of the reply, and an empty message in place of the
    result.
    """
    outcome = play(strands.make, "failing_tools", turns=8)

    assert {"LR103", "LR108", "LR112", "LR131", "LR141", "LR153"} == outcome.broken.keys()
    assert ["'[blank text]'", "''"] == [
        found.because.rpartition(": ")[2] for found in outcome.violations if found.code == "LR131"
    ]
