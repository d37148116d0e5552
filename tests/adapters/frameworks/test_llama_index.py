"""LlamaIndex's agent, the order in which it writes results down, and its two memories."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from looprig.adapters import llama_index
from looprig.testing import check_adapter, play

SIZES: dict[str, dict[str, Any]] = {"long_tool_chain": {"rounds": 12}, "pending_calls": {"messages": 60}}


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios, and loses nothing.

    Its results stand in the order in which the tools were done, so that LR147 is the framework's: it collects the
    results of a round as events, and keeps them as they came.
    """
    chain, parallel, pending = check_adapter(llama_index.make)

    assert {} == chain.broken
    assert {"LR147": 20} == parallel.broken
    assert {} == pending.broken


def test_four_calls_run_at_once():
    """
    Calls of a reply run beside each other, by default four at a time, those too that write the same file.
    """
    outcome = play(llama_index.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


@pytest.mark.parametrize("memory", llama_index.MEMORIES)
def test_memories_cut_before_a_user(memory: str):
    """
    Both memories are cut before a user's message, and the turn that is being played is not in them: nothing breaks.
    """
    loop = functools.partial(llama_index.make, memory=memory, token_limit=300)

    for name, sizes in SIZES.items():
        trimmed, whole = play(loop, name, **sizes), play(llama_index.make, name, **sizes)
        assert {} == trimmed.broken
        assert trimmed.metrics["messages_sent"] < whole.metrics["messages_sent"]


def test_unknown_memory():
    """
    A memory that there is not is refused, with those that there are.
    """
    with pytest.raises(ValueError, match="memory is one of memory, buffer; this is 'none'"):
        llama_index.make(None, {}, memory="none")
