"""The usual loop around the official OpenAI client, answered and refused as Chat Completions would."""

from __future__ import annotations

import asyncio
import functools
from typing import Any, ClassVar

import openai
import pytest

from looprig.adapters import openai_sdk
from looprig.loop import Contract
from looprig.runner import Outcome
from looprig.scenario import Fault, Scenario, Turn, user_text
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The loop plays all three scenarios without a finding, through the client's own requests and answers.
    """
    outcomes = check_adapter(openai_sdk.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_calls_run_one_after_another():
    """
    The usual loop runs calls in turn: no speed-up.
    """
    assert 1.0 == play(openai_sdk.make, "parallel_tools", turns=6).metrics["parallel_speedup"]


def reasons(outcome: Outcome, code: str) -> list[str]:
    return [found.because for found in outcome.violations if found.code == code]


def test_refused_request():
    """
    The trim that people write sends an orphan; the client raises its own error, with the provider's words.
    """
    outcome = play(functools.partial(openai_sdk.make, keep=7), "pending_calls", messages=60)

    assert {"LR102", "LR104", "LR121", "LR151", "LR201"} <= outcome.broken.keys()
    assert "the turn raised BadRequestError: Error code: 400" in reasons(outcome, "LR151")[0]
    assert "messages with role 'tool' must be a response" in reasons(outcome, "LR151")[0]


class Catching(openai_sdk.Loop):
    """Keeps what its client raises."""

    raised: ClassVar[list[openai.APIError]] = []

    async def send(self, text: str) -> str:
        try:
            return await super().send(text)
        except openai.APIError as error:
            self.raised.append(error)
            return "sorry"


def talk(*faults: Fault) -> Scenario:
    return Scenario(name="talk", seed=1, turns=[Turn(say=user_text(0, 0, "hi"), answer="there", faults=faults)])


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("rate_limit", openai.RateLimitError),
        ("server_error", openai.InternalServerError),
        ("bad_request", openai.BadRequestError),
    ],
)
def test_fault_is_the_clients_own_error(kind: Any, error: type[openai.APIError], monkeypatch: pytest.MonkeyPatch):
    """
    A planned fault comes out of the client as its typed error, after the client's own two retries where it retries.
    """
    monkeypatch.setattr(Catching, "raised", [])
    outcome = play(lambda model, tools: Catching(model, tools, None), talk(Fault(kind=kind, times=9)))

    assert [error] == [type(raised) for raised in Catching.raised]
    assert (1 if kind == "bad_request" else 3) == outcome.metrics["requests"]


def test_fault_that_passes():
    """
    The client waits and asks again, in virtual time, and the turn is answered.
    """
    outcome = play(openai_sdk.make, talk(Fault(kind="rate_limit")), contract=Contract())

    assert {} == outcome.broken
    assert 2 == outcome.metrics["requests"]


def test_no_socket(monkeypatch: pytest.MonkeyPatch):
    """
    Nothing leaves the process.
    """

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", refuse)
    assert {} == play(openai_sdk.make, "many_systems", turns=2).broken
