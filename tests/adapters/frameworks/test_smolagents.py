"""smolagents' agent, whose memory is text, and what becomes of a call that fails."""

from __future__ import annotations

import functools

from looprig.adapters import smolagents
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios without a finding: nothing is trimmed, and nothing lost.
    """
    outcomes = check_adapter(smolagents.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_threads():
    """
    With a pool of threads, as the framework has it by itself, each call still gets its own result.
    """
    outcome = play(functools.partial(smolagents.make, threads=4), "parallel_tools", turns=6)

    assert {} == outcome.broken
    assert 52 == outcome.metrics["tool_runs"]


def test_tool_that_raises():
    """
    Where a tool raises, the round's calls vanish from the history: the model reads of an error, and not of what.

    It is the framework's doing: it writes calls into its memory when all of them are done, and not before.
    """
    outcome = play(smolagents.make, "failing_tools", turns=20)

    assert {"LR103", "LR108", "LR112", "LR131", "LR141"} <= outcome.broken.keys()


def test_own_limit_of_steps():
    """
    The framework's limit of steps ends a turn before its script does, with one more request.
    """
    loop = functools.partial(smolagents.make, max_steps=5)
    outcome = play(loop, "long_tool_chain", rounds=12, before=0, after=0)

    assert "LR153" in outcome.broken
