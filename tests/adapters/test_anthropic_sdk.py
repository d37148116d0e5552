"""The usual loop around the official Anthropic client, answered and refused as Messages would."""

from __future__ import annotations

import functools

from looprig.adapters import anthropic_sdk
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The loop plays all three scenarios without a finding, through the client's own requests and answers.
    """
    outcomes = check_adapter(anthropic_sdk.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_refused_request():
    """
    The trim that people write sends an orphan; the client raises its own error, with the provider's words.
    """
    outcome = play(functools.partial(anthropic_sdk.make, keep=7), "pending_calls", messages=60)

    assert {"LR104", "LR121", "LR151", "LR203"} <= outcome.broken.keys()
    raised = next(found.because for found in outcome.violations if found.code == "LR151")
    assert raised.startswith("the turn raised BadRequestError: Error code: 400")
    assert "unexpected `tool_use_id` found in `tool_result` blocks" in raised
    orphan = next(found for found in outcome.violations if found.code == "LR121")
    assert "S T T C3 T T T C1 T A U" == orphan.shape


def test_turn_that_is_given_up():
    """
    A turn that the application cancels while a tool hangs leaves its call open, and then everything is refused.
    """
    outcome = play(anthropic_sdk.make, "failing_tools", turns=8)

    assert {"LR122": 1, "LR151": 5, "LR157": 1, "LR203": 5} == outcome.broken


def test_several_system_messages():
    """
    Each system text is a block of the top-level system, and arrives as a message.
    """
    assert {} == play(anthropic_sdk.make, "many_systems", turns=8).broken
