"""Semantic Kernel's agent, the order in which it writes results down, and its truncation reducer."""

from __future__ import annotations

import functools

from looprig.adapters import semantic_kernel
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios, and loses nothing.

    Its results stand in the order in which the tools were done, so that LR147 is the framework's: each call writes
    its own result into the history when it is done.
    """
    chain, parallel, pending = check_adapter(semantic_kernel.make)

    assert {} == chain.broken
    assert {"LR147": 22} == parallel.broken
    assert {} == pending.broken


def test_calls_of_a_round_run_at_once():
    """
    All calls of a reply run together, those too that write the same file.
    """
    outcome = play(semantic_kernel.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


def test_reducer():
    """
    The reducer keeps groups whole, and more messages than it was told; what it keeps starts with whatever comes.
    """
    loop = functools.partial(semantic_kernel.make, target=6)

    assert {"LR104": 1} == play(loop, "long_tool_chain", rounds=12, before=2, after=2).broken
    assert {"LR104": 3} == play(loop, "pending_calls", messages=60).broken


def test_own_limit_of_rounds():
    """
    The framework's limit of rounds ends a turn before its script does: it asks once more, without tools.
    """
    loop = functools.partial(semantic_kernel.make, max_rounds=5)
    outcome = play(loop, "long_tool_chain", rounds=12, before=0, after=0)

    assert "LR153" in outcome.broken
