"""Help for users' own tests: functions, the pytest fixture, timing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from looprig import testing
from looprig.loop import Contract
from looprig.messages import Message
from looprig.scenario import Scenario, Turn, user_text
from looprig.subject import LoopError
from reference_loop import make_loop


class Forgetful:
    """A loop that sends the last three messages, whatever they are."""

    def __init__(self, model: Any, tools: Any) -> None:
        self.model = model
        self.history: list[Message] = []

    def send(self, text: str) -> Message:
        self.history.append(Message(role="user", content=text))
        self.history.append(self.model.complete(self.history[-3:]))
        return self.history[-1]


TALK = Scenario(
    name="talk", seed=1, turns=[Turn(say=user_text(0, number, "hi"), answer="hello") for number in range(5)]
)


def test_correct_loop():
    """
    A correct loop passes, and the outcomes come back.
    """
    outcomes = testing.check_loop(make_loop, "repeated_ids", TALK, seeds=2, turns=6)

    assert ["repeated_ids", "repeated_ids", "talk"] == [outcome.scenario for outcome in outcomes]
    assert 6 == outcomes[0].metrics["turns"]


def test_broken_loop():
    """
    A broken loop fails with the rule, the place, what was sent, and a replay line.
    """
    contract = Contract(messages_max=2)
    with pytest.raises(testing.LoopBroken) as caught:
        testing.check_loop(Forgetful, TALK, contract=contract)

    assert str(caught.value).splitlines() == [
        "the loop breaks 1 invariant in talk, seed 1",
        "",
        "LR105 stays_within_promised_messages: broken 4 times",
        "  No request has more messages than the loop promises, unless what must be kept alone has more.",
        "  turn 1, request 2: 3 messages are sent; the loop promises at most 2",
        "  sent: U A U",
        "",
        "(S system  N note  U user  A assistant  Cn assistant with n calls  T tool result  ? said by nobody)",
        f"replay with: looprig run talk --seed 1 --loop {__name__}:Forgetful",
    ]


def test_factory_without_a_name():
    """
    Where the factory cannot be named on a command line, the replay line says to run the test again.
    """
    with pytest.raises(testing.LoopBroken, match="replay with: this test again; it plays talk with seed 1"):
        testing.check_loop(lambda model, tools: Forgetful(model, tools=None), TALK, contract=Contract(messages_max=2))


def test_misuse():
    """
    A loop that uses the model wrongly is an error of its own, not a broken invariant.
    """

    class Rubbish(Forgetful):
        def send(self, text: str) -> Message:
            return self.model.complete("hi")  # type: ignore[no-any-return]

    with pytest.raises(LoopError, match="the loop called the model with a value of type str"):
        testing.play(Rubbish, TALK)


def test_play():
    """
    Playing tells what happened without judging the test.
    """
    outcome = testing.play(Forgetful, TALK, contract=Contract(messages_max=2))

    assert {"LR105": 4} == outcome.broken
    assert 5 == outcome.metrics["requests"]


def test_timed(benchmark: Any):
    """
    What `timed` returns can be handed to pytest-benchmark.
    """
    benchmark.pedantic(testing.timed(make_loop, "long_conversation", messages=50), rounds=2)

    assert benchmark.stats["rounds"] == 2


USERS_TEST = """
from looprig.messages import Message

def make_loop(model, tools):
    return Loop(model)

class Loop:
    def __init__(self, model): self.model, self.history = model, []
    def send(self, text):
        self.history.append(Message(role="user", content=text))
        self.history.append(self.model.complete(self.history[-1:]))
        return self.history[-1]

def test_fails(rig): rig.check(make_loop, "repeated_ids", turns=3)
def test_passes(rig): rig.check(make_loop, "seed_1000_messages", messages=20)
def test_plays(rig): assert rig.play(make_loop, "seed_1000_messages", messages=20).seed == 7
def test_times(rig, benchmark): benchmark.pedantic(rig.timed(make_loop, "seed_1000_messages", messages=20), rounds=1)
"""


def run_users_tests(tmp_path: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_users.py").write_text(USERS_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "looprig.pytest_plugin"]
    command += ["-p", "pytest_benchmark.plugin", *words]
    variables = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=variables)


def test_fixture(tmp_path: Path):
    """
    The fixture fails a test with the rendered violation and no traceback, and takes its seed from the command line.
    """
    done = run_users_tests(tmp_path, "--looprig-seed", "7")

    assert "1 failed, 3 passed" in done.stdout
    assert "replay with: looprig run repeated_ids --seed 7 --loop test_users:make_loop" in done.stdout
    assert "Traceback" not in done.stdout
    assert "looprig/testing.py" not in done.stdout


def test_timing_under_disturbance(tmp_path: Path):
    """
    Under xdist's workers nothing is timed, and one line says why.
    """
    done = run_users_tests(tmp_path, "-rs", "-k", "test_times", PYTEST_XDIST_WORKER="gw0")

    assert "1 skipped" in done.stdout
    assert "looprig does not time under pytest-xdist" in done.stdout


def test_plugin_is_light(tmp_path: Path):
    """
    The plugin that every pytest run loads imports nothing of looprig until its fixture is used.
    """
    watched = "name.startswith('looprig') or name in ('faker', 'locust', 'msgspec')"
    code = f"import sys, looprig.pytest_plugin; print(sorted(name for name in sys.modules if {watched}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert "['looprig', 'looprig.pytest_plugin', 'looprig.version']" == done.stdout.strip()
