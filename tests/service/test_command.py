"""``looprig serve loop``: as a process, with its verdict."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from looprig.cli import cli
from looprig.content import make_scenario
from tests.service.client import User, events_of

SEED = ("--scenario", "pending_calls", "--set", "messages=200", "--loop", "reference,policy=seed,max_history_pairs=10")


@contextmanager
def process(*words: str) -> Iterator[tuple[subprocess.Popen[str], User]]:
    """Start the service, and yield it when it serves; it has ended when the block ends."""
    command = [sys.executable, "-m", "looprig", "serve", "loop", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            first = child.stdout.readline()
            assert first.startswith("serving http://127.0.0.1:"), first
            user = User(first.removeprefix("serving ").strip())
            yield child, user
            user.http.close()
        finally:
            if child.poll() is None:
                child.kill()


def ended(child: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    return child.returncode, out, err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sound_loop(number: signal.Signals):
    """
    A sound loop passes: the first line says where it is served, the last one the verdict.
    """
    with process() as (child, user):
        end = user.turn(user.open(), "[#s0t0] hello")
        code, out, err = ended(child, number)

    assert [] == end["violations"]
    assert (0, "") == (code, err)
    assert out.splitlines()[-1].startswith("PASSED  ")
    assert "1 turn in 1 session" in out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_broken_loop():
    """
    A loop that sends orphans fails: the page has code, count, an example, and a line that shows it again.
    """
    with process(*SEED) as (child, user):
        session = user.open(seed=3)
        for turn in make_scenario("pending_calls", 3, {"messages": "200"}).turns:
            user.say(session, turn.say)
        times = user.stats()["violations"]["LR121"]
        code, out, _ = ended(child)
    replay = next(line for line in out.splitlines() if "replay with: looprig run" in line).split("replay with: ")[1]

    assert 1 == code
    assert f"✗ LR121 no_result_without_its_call: {times} times" in out
    assert "is sent without the call that it answers" in out
    assert out.splitlines()[-1].startswith("FAILED  ")
    again = CliRunner().invoke(cli, [*replay.split()[1:], "--no-traces"])
    assert (1, True) == (again.exit_code, "LR121" in again.output)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_running_turn_ends_first():
    """
    A turn that runs when the service is asked to end comes to its end, and the process ends by itself.
    """
    with process("--ttft", "800ms") as (child, user):
        path = f"/v1/sessions/{user.open()}/turns"
        with user.http.stream("POST", path, json={"text": "[#s0t0] hello"}) as response:
            # The head of the answer comes with its first event.
            code_of = ended(child)
            events = events_of(response.read().decode())

    assert "end" == events[-1][0]
    assert 0 == code_of[0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_nothing_came():
    """
    A service that no turn was asked of has shown nothing.
    """
    with process() as (child, _):
        code, out, _ = ended(child)

    assert (5, True) == (code, out.splitlines()[-1].startswith("NOTHING  "))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--loop", "no_such"), "'no_such' names no loop"),
        (("--loop", "tests.service.loops:unmakeable"), "no such database"),
        (("--scenario", "no_such"), "there is no scenario 'no_such'"),
        (("--set", "rounds=3"), "has no parameter 'rounds'"),
        (("--set", "messages=many"), "takes a whole number"),
        (("--fault", "stll:ms=3"), "--fault: there is no fault 'stll'"),
        (("--ttft", "soon"), "--ttft and --itl: 'soon' is no latency"),
        (("--idle", "soon"), "--idle: 'soon' is no time"),
        (("--port", "99999"), "99999"),
    ],
)
def test_usage(words: Sequence[str], said: str):
    """
    What cannot be served is told in one line, with exit code 2.
    """
    result = CliRunner().invoke(cli, ["serve", "loop", *words])

    assert 2 == result.exit_code
    assert said in result.output
    assert "Traceback" not in result.output


def test_port_that_is_taken():
    """
    A port that somebody else serves on is told, with what to do.
    """
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(cli, ["serve", "loop", "--port", str(taken.getsockname()[1])])

    assert 2 == result.exit_code
    assert "choose another with --port" in result.output
