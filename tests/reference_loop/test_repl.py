"""The conversation in the terminal, as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "reference_loop")


def talk(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], input=typed, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("end", ["/quit\nnever reached\n", ""], ids=["/quit", "end of input"])
def test_conversation(end: str):
    """
    The user talks, looks at history and figures, and leaves; nothing goes to stderr.
    """
    done = talk("--policy", "seed", "--max-history-pairs", "10", typed=f"calculate 6*7\n/history\n/stats\n\x01\n{end}")

    assert (0, "") == (done.returncode, done.stderr)
    assert "> The tool says: 42\n" in done.stdout
    assert "{'role': 'tool', 'content': '42', 'tool_call_id': 'call_1'}\n" in done.stdout
    assert "conversation_length: 4\nmax_history_pairs: 10\nmemory_utilization: 0.16\n" in done.stdout
    assert "refused: the text holds a control character, U+0001 at position 0" in done.stdout
    assert "never reached" not in done.stdout


@pytest.mark.parametrize(("reply", "says"), [("y", "deleted 'milk'"), ("n", "denied: not approved"), ("", "denied")])
def test_question(reply: str, says: str):
    """
    What is destructive is asked about, and only yes is yes.
    """
    done = talk(typed=f"note milk: buy two\ndelete milk\n{reply}\n")

    assert 'run delete_note({"title": "milk"})? [y/N] The tool says: ' + says in done.stdout
    assert 0 == done.returncode


def test_journal(tmp_path: Path):
    """
    A session goes on in the next conversation, also one whose last line was torn in the middle of a turn.
    """
    file = tmp_path / "s.jsonl"
    talk("--journal", str(file), typed="calculate 6*7\n")
    file.write_bytes(file.read_bytes()[:-15])
    done = talk("--journal", str(file), typed="hello\n/stats\n")

    assert "The tool says: 42\n> You said: hello\n> conversation_length: 6\n" in done.stdout
    file.write_text("junk\n")
    done = talk("--journal", str(file))
    assert 2 == done.returncode
    assert "line 1 of the session" in done.stderr


def test_help():
    """
    Help names the options and every policy.
    """
    done = talk("--help")

    assert 0 == done.returncode
    assert "{never,end-of-turn,incremental,seed,grouped,masking,summarising}" in done.stdout
    assert "--max-history-pairs N" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--policy", "none"], "invalid choice: 'none'"),
        (["--pol", "seed"], "unrecognized arguments"),
        (["--max-history-pairs", "-1"], "max_history_pairs=-1 makes no sense: Expected `int` >= 0"),
    ],
)
def test_bad_option(arguments: list[str], says: str):
    """
    A bad option ends with exit code 2 and what is wrong.
    """
    done = talk(*arguments)

    assert 2 == done.returncode
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")
@pytest.mark.parametrize("typed", ["", "note milk: buy\ndelete milk\n"], ids=["at the prompt", "at the question"])
def test_interrupt(typed: str):
    """
    Ctrl-C ends the conversation at once and cleanly, also while a question for approval is open.
    """
    waits_for = "[y/N] " if typed else "> "
    with subprocess.Popen([*COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(typed.encode())
        process.stdin.flush()
        seen = b""
        deadline = time.monotonic() + 30
        while not seen.endswith(waits_for.encode()) and time.monotonic() < deadline:
            seen += os.read(process.stdout.fileno(), 1000)
        time.sleep(0.2)  # The prompt is printed just before the read begins.
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)

    assert seen.endswith(waits_for.encode())
    assert (0, b"") == (process.returncode, errors)
