"""Pydantic AI's agent, and the history processor of its guide."""

from __future__ import annotations

import functools

from looprig.adapters import pydantic_ai
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios without a finding: nothing is trimmed, and nothing lost.
    """
    outcomes = check_adapter(pydantic_ai.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_calls_of_a_round_run_at_once():
    """
    All calls of a reply run together, those too that write the same file.
    """
    outcome = play(pydantic_ai.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


def test_documented_processor():
    """
    The processor that keeps the last messages also cuts the run under way: the question of a long turn is dropped.

    It is the framework's doing: the processor is given the messages of the current run too. The agent repairs
    orphans, but a request that starts with an answer stays one.
    """
    outcome = play(functools.partial(pydantic_ai.make, keep=8), "long_tool_chain", rounds=30)

    assert {"LR102": 27, "LR104": 32} == outcome.broken


def test_request_limit():
    """
    The framework's own limit of requests ends a run with an error, as the contract says.
    """
    outcome = play(functools.partial(pydantic_ai.make, requests=5), "long_tool_chain", rounds=12, before=0, after=0)

    assert {} == outcome.broken
    assert 5 == outcome.metrics["requests"]


def test_failing_call_ends_the_run():
    """
    A tool that raises ends the whole run: the framework knows a failed call only as `ModelRetry`.
    """
    outcome = play(pydantic_ai.make, "failing_tools", turns=6)

    assert "LR151" in outcome.broken
