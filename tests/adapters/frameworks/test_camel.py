"""CAMEL's agent, which puts a later question before an earlier round of calls."""

from __future__ import annotations

import functools

from looprig.adapters import camel
from looprig.testing import check_adapter, play

REORDERED = ("LR131", "LR153")
"""What the framework breaks however it is driven, as the next test shows."""


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios, and loses nothing; what breaks is what the framework makes of two rounds.
    """
    outcomes = check_adapter(camel.make, findings=REORDERED)

    assert [{"LR112", "LR131", "LR153"}] * 3 == [outcome.broken.keys() for outcome in outcomes]


def test_two_rounds_of_calls():
    """
    A turn with two rounds of calls is sent out of order, and the next question is never the last of its request.

    It is the framework's doing: before every request it gathers calls to put their results behind them, but writes
    only the first round down where a message without calls comes. The second round stands behind the next question,
    and the model answers that round again.
    """
    outcome = play(camel.make, "long_tool_chain", rounds=3, before=0, after=1)

    late = next(found for found in outcome.violations if found.code == "LR112")
    assert "S U C1 T A C1 T U C1 T" == late.shape


def test_one_round_of_calls():
    """
    A turn with one round is sent as it was said.
    """
    assert {} == play(camel.make, "long_tool_chain", rounds=1, before=1, after=2).broken


def test_calls_run_one_by_one():
    """
    The calls of a reply run one after the other.
    """
    assert 1 == play(camel.make, "parallel_tools", turns=6).metrics["parallel_speedup"]


def test_window():
    """
    The last six messages cut groups apart: results are sent without their calls.
    """
    outcome = play(functools.partial(camel.make, window=6), "pending_calls", messages=60)

    assert {"LR102", "LR104", "LR121"} <= outcome.broken.keys()
