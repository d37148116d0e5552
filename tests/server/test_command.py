"""``looprig serve model``: any program under test, with one line."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from looprig.cli import cli
from looprig.server.running import KEY, environment

CLIENT = """
import json, os, sys, urllib.request
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
def ask(messages):
    body = json.dumps({"model": "gpt-4o", "messages": messages}).encode()
    headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    try:
        return json.load(urllib.request.urlopen(urllib.request.Request(url, body, headers)))
    except urllib.error.HTTPError as error:
        return error.code
"""

SOUND = CLIENT + 'print(ask([{"role": "user", "content": "[#s0t0] hi"}])["choices"][0]["message"]["content"][:7])'
BROKEN = CLIENT + 'print(ask([{"role": "tool", "tool_call_id": "x", "content": "?"}]))'


@pytest.fixture
def looprig(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run ``looprig serve model`` in this process; return its exit code, and what it and its command print."""

    def run(*words: str) -> tuple[int, str, str]:
        sys.stdout.flush()
        result = CliRunner().invoke(cli, ["serve", "model", *words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        printed = capfd.readouterr()
        return result.exit_code, printed.out + result.stdout, printed.err + result.stderr

    return run


Run = Callable[..., tuple[int, str, str]]


def python(source: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", source)


def test_sound_command(looprig: Run):
    """
    A command whose requests are sound passes; what it prints comes before the verdict.
    """
    code, out, err = looprig(*python(SOUND))

    assert (0, "") == (code, err)
    assert out.startswith("[#s0t0]\n")
    assert out.splitlines()[-1].startswith("PASSED  ")


def test_broken_command(looprig: Run):
    """
    A request that a provider refuses fails the command, and the page says which rule, where and what was sent.
    """
    code, out, _ = looprig("--scenario", "long_tool_chain", "--set", "rounds=3", *python(BROKEN))

    assert 1 == code
    assert out.startswith("400\n")
    assert "✗ C1 refused: 1 time" in out
    assert "    sent: T" in out.splitlines()
    assert "replay with: looprig serve model --scenario long_tool_chain --seed 1 --set rounds=3 -- " in out
    assert out.splitlines()[-1].startswith("FAILED  ")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (python("pass"), 5, "no request came"),
        (python(SOUND + "\nsys.exit(3)"), 1, "exit code 3"),
        (("--", "no-such-program"), 2, "cannot run no-such-program"),
        (("--fault", "nonsense", *python("pass")), 2, "there is no fault 'nonsense'"),
        (("--ttft", "soon", *python("pass")), 2, "'soon' is no latency"),
        (("--promise", "waive=LR999", *python("pass")), 2, "no invariant 'LR999'"),
        (("--promise", "peace=1", *python("pass")), 2, "nobody can promise 'peace'"),
        (("--scenario", "no_such", *python("pass")), 2, "there is no scenario 'no_such'"),
        (("--set", "rounds=3", *python("pass")), 2, "has no parameter 'rounds'"),
    ],
)
def test_exit_codes(looprig: Run, words: tuple[str, ...], code: int, said: str):
    """
    No request is no pass, a command that fails is none either, and what cannot be run is told.
    """
    found, out, err = looprig(*words)

    assert code == found
    assert said in out + err
    assert "Traceback" not in err


def test_no_real_key_is_sent():
    """
    Keys of the user's are replaced or taken away; what is no key stays, and the server is asked past any proxy.
    """
    given = {"OPENAI_API_KEY": "sk-secret", "ANTHROPIC_AUTH_TOKEN": "secret", "HOME": "there", "NO_PROXY": "intranet"}

    made = environment("http://127.0.0.1:1", given)

    assert not any("secret" in value for value in made.values())
    assert (KEY, "there") == (made["OPENAI_API_KEY"], made["HOME"])
    assert "intranet,127.0.0.1,localhost" == made["NO_PROXY"]
    assert ("http://127.0.0.1:1/v1", "http://127.0.0.1:1") == (made["OPENAI_BASE_URL"], made["ANTHROPIC_BASE_URL"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_server(number: signal.Signals):
    """
    A server without a command says where it is and what to set; when it is stopped it prints the verdict.
    """
    words = [sys.executable, "-u", "-m", "looprig", "serve", "model"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        while lines[-1].strip() or len(lines) < 5:
            lines.append(child.stdout.readline())
        child.send_signal(number)
        rest = child.stdout.read()

    assert "the strict model plays pending_calls at http://127.0.0.1:" in lines[0]
    assert any(line.startswith("export OPENAI_BASE_URL=http://127.0.0.1:") for line in lines)
    assert rest.splitlines()[-1].startswith("NOTHING  ")
    assert 5 == child.returncode


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_signal_reaches_the_command(tmp_path: Path):
    """
    Who ends looprig ends the command, and still gets the verdict.
    """
    mark = tmp_path / "up"
    source = SOUND + f"\nopen({str(mark)!r}, 'w').close(); import time; time.sleep(60)"
    words = [sys.executable, "-m", "looprig", "serve", "model", *python(source)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while not mark.exists() and child.poll() is None:
            signal.sigtimedwait([], 0.05)
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=30)

    assert 1 == child.returncode
    assert "the command ended with exit code 143" in err
    assert out.splitlines()[-1].startswith("PASSED  ")


def test_warning_for_other_interfaces(looprig: Run):
    """
    Serving on more than this machine is told.
    """
    code, _, err = looprig("--host", "0.0.0.0", *python(SOUND))  # noqa: S104 - what the warning is about

    assert 0 == code
    assert "warning: 0.0.0.0 can be reached from other machines" in err
