"""AutoGen's agent, and what its buffered context cuts off."""

from __future__ import annotations

import functools

from looprig.adapters import autogen
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios without a finding: nothing is trimmed, and nothing lost.
    """
    outcomes = check_adapter(autogen.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_calls_of_a_round_run_at_once():
    """
    All calls of a reply run together, those too that write the same file.
    """
    outcome = play(autogen.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


def test_buffer():
    """
    The last ten messages start with whatever comes, and a turn longer than that loses its question.

    The framework drops a first message that holds results alone, so that none stands without its call.
    """
    loop = functools.partial(autogen.make, buffer=10)

    assert {"LR102": 8, "LR104": 12} == play(loop, "long_tool_chain", rounds=12, before=2, after=2).broken
    assert {"LR104": 13} == play(loop, "parallel_tools", turns=6).broken
    assert {"LR104": 13} == play(loop, "pending_calls", messages=60).broken


def test_system_message_later_in_the_conversation():
    """
    What the application adds later joins the conversation where it was added.
    """
    assert {} == play(autogen.make, "many_systems", turns=10).broken
