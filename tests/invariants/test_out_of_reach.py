"""A verdict is out of the loop's reach: whatever a loop catches, what it did is recorded and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from looprig.invariants import Checker
from looprig.messages import Message
from looprig.observe import View
from looprig.runner import RunOptions, run
from looprig.trace import TraceError
from tests.invariants.planted import (
    CutsByCount,
    CutsDictsByCount,
    RunsMalformedCalls,
    call,
    scenario,
    standard_scenario,
    turn,
)

FULL_DISK = Path("/dev/full")


def swallowing(kind: type[BaseException], loop: type[Any]) -> type[Any]:
    """Return *loop* with everything that it raises taken for an apology."""

    class Swallowing(loop):
        def send(self, text: str) -> str:
            try:
                return str(super().send(text))
            except kind:
                return "Sorry."

    return Swallowing


class HidesEverything:
    """Hands looprig's model and tools through, and hides whatever they raise."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def complete(self, messages: Any) -> Any:
        try:
            return self.inner.complete(messages)
        except BaseException:
            return Message(role="assistant", content="Sorry.")


@pytest.mark.parametrize("kind", [Exception, BaseException])
@pytest.mark.parametrize(
    ("loop", "name", "code"),
    [
        (CutsByCount, "pending_calls", "LR121"),
        (CutsDictsByCount, "pending_calls", "LR121"),
        (RunsMalformedCalls, "failing_tools", "LR142"),
    ],
)
def test_loop_that_catches_everything(kind: type[BaseException], loop: type[Any], name: str, code: str):
    """
    A loop that catches all exceptions has the same violations as one that catches none.
    """
    played = standard_scenario(name)
    open_, closed = run(played, loop), run(played, swallowing(kind, loop))

    assert open_.violations == closed.violations
    assert code in closed.broken


def test_model_behind_a_wall():
    """
    A loop whose model call hides every error is judged like any other, and one that never ends is stopped.
    """

    class Endless:
        def __init__(self, model: Any, tools: Any) -> None:
            self.model = HidesEverything(model)

        def send(self, text: str) -> str:
            message = Message(role="user", content=text)
            for _ in range(100):
                self.model.complete([message])
            return "[#s0t0] answer 0"

    outcome = run(scenario(turn(0, (call(),))), Endless)

    assert {"LR103", "LR112", "LR152"} <= set(outcome.broken)


def test_misuse_is_not_hidden():
    """
    A loop that hands over what is no message makes the run unusable, also where it catches the error.
    """

    class HandsOverText:
        def __init__(self, model: Any, tools: Any) -> None:
            self.model = HidesEverything(model)

        def send(self, text: str) -> str:
            return str(self.model.complete(text).content)

    outcome = run(scenario(turn(0)), HandsOverText)

    assert outcome.unusable is not None
    assert "it takes a list of at least one message" in outcome.unusable


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("kind", [Exception, BaseException])
def test_full_disk(kind: type[BaseException]):
    """
    A recording that cannot be written is looprig's error, and not one that the loop can answer for or hide.
    """
    with pytest.raises(TraceError, match="cannot write the recording /dev/full"):
        run(standard_scenario("pending_calls"), swallowing(kind, CutsByCount), options=RunOptions(trace=FULL_DISK))


@pytest.mark.parametrize("kind", [Exception, BaseException])
def test_crash_of_a_rule(kind: type[BaseException], monkeypatch: pytest.MonkeyPatch):
    """
    A crash of looprig inside the model call surfaces as such: the loop is not blamed for it, and cannot swallow it.
    """

    class Crashing(Checker):
        def see(self, view: View) -> None:
            raise ZeroDivisionError("a fault of looprig")

    monkeypatch.setattr("looprig.runner.Checker", Crashing)

    with pytest.raises(ZeroDivisionError, match="a fault of looprig"):
        run(standard_scenario("pending_calls"), swallowing(kind, CutsByCount))
