"""Microsoft's Agent Framework, and what its sliding window keeps."""

from __future__ import annotations

import functools

from looprig.adapters import agent_framework
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios without a finding: nothing is trimmed, and nothing lost.
    """
    outcomes = check_adapter(agent_framework.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_calls_of_a_round_run_at_once():
    """
    All calls of a reply run together, those too that write the same file.
    """
    outcome = play(agent_framework.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


def test_window_before_each_turn():
    """
    The window counts groups, so that no group is cut apart; but it starts with whatever comes, a call or an answer.
    """
    loop = functools.partial(agent_framework.make, keep_groups=4)

    assert {"LR104": 2} == play(loop, "long_tool_chain", rounds=12, before=2, after=2).broken
    assert {"LR104": 3} == play(loop, "parallel_tools", turns=6).broken
    assert {"LR104": 4} == play(loop, "pending_calls", messages=60).broken


def test_window_within_a_turn():
    """
    Compaction at every request drops the question of a turn with more groups than the window has.
    """
    loop = functools.partial(agent_framework.make, keep_groups=4, in_turn=True)

    assert {"LR102": 9, "LR104": 13} == play(loop, "long_tool_chain", rounds=12, before=2, after=2).broken


def test_own_limit_of_rounds():
    """
    The framework's limit of rounds ends a turn before its script does: it asks once more, without tools.
    """
    loop = functools.partial(agent_framework.make, max_rounds=5)
    outcome = play(loop, "long_tool_chain", rounds=12, before=0, after=0)

    assert "LR153" in outcome.broken
