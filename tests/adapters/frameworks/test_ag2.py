"""AG2's agent, and its sliding window."""

from __future__ import annotations

import functools

from looprig.adapters import ag2
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios without a finding: nothing is trimmed, and nothing lost.
    """
    outcomes = check_adapter(ag2.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_calls_of_a_round_run_at_once():
    """
    All calls of a reply run together, those too that write the same file.
    """
    outcome = play(ag2.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


def test_window():
    """
    The window counts events, of which a round has several: two rounds are enough to push the question out.

    The framework drops what would stand without its call, so that no result does.
    """
    loop = functools.partial(ag2.make, window=6)

    assert {"LR102": 11, "LR104": 12} == play(loop, "long_tool_chain", rounds=12, before=2, after=2).broken
    assert {"LR102": 11, "LR104": 16} == play(loop, "parallel_tools", turns=6).broken
    assert {"LR102": 7, "LR104": 12} == play(loop, "pending_calls", messages=60).broken
