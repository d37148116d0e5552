"""Agno's agent, and what it adds of the history to a request."""

from __future__ import annotations

import functools

from looprig.adapters import agno
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios without a finding, though it adds the last three runs alone.
    """
    outcomes = check_adapter(agno.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_calls_of_a_round_run_at_once():
    """
    All calls of a reply run together, those too that write the same file.
    """
    outcome = play(agno.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


def test_last_runs_alone():
    """
    Whole runs are added, so that nothing breaks: by default three.
    """
    default, longer = (functools.partial(agno.make, runs=runs) for runs in (None, 100))

    assert (
        play(default, "pending_calls", messages=60).metrics["messages_sent"]
        < play(longer, "pending_calls", messages=60).metrics["messages_sent"]
    )


def test_last_messages_alone():
    """
    The last nine messages start with whatever comes.
    """
    loop = functools.partial(agno.make, messages=9)

    assert {"LR104": 2} == play(loop, "long_tool_chain", rounds=12, before=2, after=2).broken
    assert {"LR104": 5} == play(loop, "parallel_tools", turns=6).broken
    assert {"LR104": 4} == play(loop, "pending_calls", messages=60).broken


def test_last_calls_alone():
    """
    With the last two calls alone, a round of more is sent as one that nobody asked for, and older messages stay.

    It is the framework's doing: it takes calls out of the messages that asked for them.
    """
    loop = functools.partial(agno.make, runs=100, calls=2)

    assert {"LR108": 3, "LR131": 6} == play(loop, "pending_calls", messages=60).broken
