"""Google's Agent Development Kit, and its plug-in that filters the context."""

from __future__ import annotations

import functools
from typing import Any

from looprig.adapters import google_adk
from looprig.testing import check_adapter, play

SIZES: dict[str, dict[str, Any]] = {"long_tool_chain": {"rounds": 12}, "pending_calls": {"messages": 60}}


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios without a finding: nothing is trimmed, and nothing lost.
    """
    outcomes = check_adapter(google_adk.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_calls_of_a_round_run_at_once():
    """
    All calls of a reply run together, those too that write the same file.
    """
    outcome = play(google_adk.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


def test_last_turns_alone():
    """
    The framework's filter keeps whole turns, and so breaks nothing, however long a turn gets.
    """
    loop, all_turns = functools.partial(google_adk.make, keep_turns=2), google_adk.make

    for name, sizes in SIZES.items():
        filtered, whole = play(loop, name, **sizes), play(all_turns, name, **sizes)
        assert {} == filtered.broken
        assert filtered.metrics["messages_sent"] < whole.metrics["messages_sent"]


def test_tool_that_raises():
    """
    A tool's exception ends the turn, and arguments that are no JSON object do.

    It is the framework's doing: unless a plug-in handles it, what a tool raises goes through the runner.
    """
    outcome = play(google_adk.make, "failing_tools", turns=20)

    assert {"LR151": 6} == outcome.broken
