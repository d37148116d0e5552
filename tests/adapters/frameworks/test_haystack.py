"""Haystack's agent."""

from __future__ import annotations

import functools

from looprig.adapters import haystack
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios without a finding: nothing is trimmed, and nothing lost.
    """
    outcomes = check_adapter(haystack.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_four_calls_run_at_once():
    """
    Calls of a reply run beside each other, by default four at a time, those too that write the same file.
    """
    outcome = play(haystack.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


def test_own_limit_of_steps():
    """
    The framework's limit of steps ends a turn before its script does.
    """
    loop = functools.partial(haystack.make, max_rounds=5)
    outcome = play(loop, "long_tool_chain", rounds=12, before=0, after=0)

    assert "LR153" in outcome.broken


def test_system_message_later_in_the_conversation():
    """
    What the application adds later joins the conversation where it was added.
    """
    assert {} == play(haystack.make, "many_systems", turns=10).broken
