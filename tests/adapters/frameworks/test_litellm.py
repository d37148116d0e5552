"""The loop around LiteLLM, and what the library's trim makes of tool calls."""

from __future__ import annotations

import functools
from typing import Any

from looprig.adapters import litellm
from looprig.testing import check_adapter, play

SIZES: dict[str, dict[str, Any]] = {"long_tool_chain": {"rounds": 12}, "pending_calls": {"messages": 60}}


def test_adapter_is_faithful():
    """
    The loop plays all three scenarios without a finding: nothing is trimmed, and nothing lost.
    """
    outcomes = check_adapter(litellm.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_trim():
    """
    The library's trim sends results without their calls, shortens what was said, and loses the question.

    It takes messages from the end while they fit, whatever they are, and cuts the next one's text in the middle.
    """
    loop = functools.partial(litellm.make, trim=300)

    for name, sizes in SIZES.items():
        assert {"LR102", "LR104", "LR108", "LR121", "LR131"} == play(loop, name, **sizes).broken.keys()


def test_model_error():
    """
    A model's error comes through the library as its own, and the loop raises it.
    """
    outcome = play(litellm.make, "slow_model", turns=20)

    assert {} == outcome.broken
