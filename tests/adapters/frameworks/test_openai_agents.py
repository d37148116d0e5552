"""The OpenAI Agents SDK, and what the limit of a session makes of groups."""

from __future__ import annotations

import functools

from looprig.adapters import openai_agents
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios without a finding: nothing is trimmed, and nothing lost.
    """
    outcomes = check_adapter(openai_agents.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_calls_of_a_round_run_at_once():
    """
    All calls of a reply run together, those too that write the same file.
    """
    outcome = play(openai_agents.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


def test_session_limit():
    """
    A session's limit counts items and cuts groups apart: the runner drops the orphans, and the rest starts with a call.

    It is the framework's doing: what is left of a group whose other calls were cut off is a reply that no model gave
    (LR131).
    """
    outcome = play(functools.partial(openai_agents.make, limit=8), "pending_calls", messages=60)

    assert {"LR104", "LR108", "LR131"} == outcome.broken.keys()


def test_own_limit_of_turns():
    """
    The framework's limit of model replies ends a run with an error, as the contract says.
    """
    outcome = play(functools.partial(openai_agents.make, max_turns=5), "long_tool_chain", rounds=12, before=0, after=0)

    assert {} == outcome.broken
    assert 5 == outcome.metrics["requests"]
