"""``looprig trim``: a user's own function from the command line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from looprig.cli import cli
from looprig.exits import Exit
from looprig.trimmers.judge import RULES

APP = """
from looprig.trimmers.baseline import SUBJECTS, reference
from looprig.trimmers.contract import Subject

def trim(history, max_messages=6):
    return history[:1] + history[-(max_messages - 1):] if len(history) > max_messages else history

def careful(history, limit):
    return reference(limit)(history)

def fixed(history):
    return history[-3:]

def raises(history, limit):
    print("noise of the application")
    raise KeyError("content")

def half(messages):
    return len(messages) / 2

mine = Subject(name="mine", make=reference)
other = 3
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "looprig", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, env={**os.environ})


def test_a_broken_trimmer(app: Path):
    """
    A function that breaks rules is told which, with the smallest case and a command that shows it again.
    """
    done = run("trim", "app:trim,max_messages=LIMIT", "--limit", "3", "--history", "U C1 T U", cwd=app)
    lines = done.stdout.splitlines()

    assert Exit.VIOLATED == done.returncode, done.stderr
    assert "✗ LR121 (C02) no_result_without_its_call: broken in 1 of 1 run" in lines
    assert "    limit 3: U C1 T U -> U T U" in lines
    assert "    replay with: looprig trim app:trim,max_messages=LIMIT --limit 3 --history 'U C1 T U'" in lines, (
        done.stdout
    )
    assert "FAILED  5 rules broken in 1 run" == lines[-1]


def test_replay_lines_work(app: Path):
    """
    Each replay line that is printed shows the same breach again.
    """
    data = json.loads(run("trim", "app:trim", "--limit", "6", "--format", "json", cwd=app).stdout)
    broken = [rule for rule in data["rules"] if rule["broken"]]

    assert broken
    for rule in broken[:3]:
        words = shlex.split(rule["example"]["replay"])
        again = json.loads(run(*words[1:], "--format", "json", cwd=app).stdout)
        (same,) = (other for other in again["rules"] if other["code"] == rule["code"])
        assert (1, rule["example"]["because"]) == (same["broken"], same["example"]["because"])


def test_a_careful_trimmer(app: Path):
    """
    A function that keeps every rule passes; what judged nothing is named.
    """
    done = run("trim", "app:careful", "--codec", "messages", "--limit", "5", "--limit", "8", cwd=app)

    assert Exit.PASSED == done.returncode, done.stdout
    assert "- judged nothing here, and so showed nothing: LR117" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1].startswith("PASSED  22 rules held in")


def test_waiver(app: Path):
    """
    A rule that is waived does not fail the run, and its reason is printed; so is a waiver that nothing needs.
    """
    words = ("trim", "app:fixed", "--limit", "3", "--history", "S U A U", "--waive", "C01=it is added later")
    done = run(*words, "--waive", "LR104=so be it", "--waive", "LR203=we use another", "--waive", "C10=no", cwd=app)

    assert Exit.PASSED == done.returncode, done.stdout
    assert "w LR101 is waived: it is added later" in done.stdout
    assert "LR108 is waived, but nothing broke it: the waiver can go" in done.stdout


def test_raising_function(app: Path):
    """
    A function that raises breaks one rule, and what the application prints does not get into the results.
    """
    done = run("trim", "app:raises", "--limit", "4", "--history", "U", "--format", "json", cwd=app)
    (rule,) = (rule for rule in json.loads(done.stdout)["rules"] if rule["broken"])

    assert Exit.VIOLATED == done.returncode
    assert ("LR151", "it raised KeyError: 'content'") == (rule["code"], rule["example"]["because"])


def test_data(app: Path):
    """
    As data, all rules are there, and with --agent the whole runs.
    """
    done = run("trim", "app:mine", "--limit", "20", "--agent", "--format", "json", cwd=app)
    data = json.loads(done.stdout)

    assert list(RULES) == [rule["code"] for rule in data["rules"]]
    assert ["agent", "agent", "chain", "parallel"] == [run["run"] for run in data["agent_runs"]]
    assert "passed" == data["verdict"]


def test_markdown(app: Path):
    """
    As Markdown the verdict comes first, and nothing in a cell can end it.
    """
    done = run("trim", "app:trim", "--limit", "6", "--format", "markdown", cwd=app)

    assert done.stdout.startswith("## FAILED  ")
    assert "-&gt;" in done.stdout


def test_several_declared_trimmers(app: Path):
    """
    Of several declared trimmers one can be chosen, and its replay line says which.
    """
    done = run("trim", "app:SUBJECTS", "--only", "h[-n:]", "--history", "S U A U", "--limit", "2", cwd=app)

    assert Exit.VIOLATED == done.returncode
    assert "replay with: looprig trim app:SUBJECTS --only 'h[-n:]' --limit 2 --history 'S U A U'" in done.stdout


def test_own_measure(app: Path):
    """
    A limit may count whatever a function of the application counts.
    """
    done = run("trim", "app:fixed", "--limit", "1", "--unit", "app:half", "--history", "U A U", cwd=app)

    assert "1.5 are left; the limit is 1" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("app:fixed",), "what is the limit of app:fixed? If it is built in, give it with --limit N"),
        (("app:nope",), "app has no 'nope'; it has"),
        (("nowhere:trim",), "there is no module 'nowhere'"),
        (("app",), "'app' names no function: write module:function"),
        (("app:other",), "app:other is int; a trimmer is a function from a list of messages to a list of messages"),
        (("app:trim,size=3", "--limit", "3"), "app:trim,size=3 cannot be called with a list of messages"),
        (("app:fixed", "--limit", "3", "--history", "U X"), "'X' (number 2) is no letter of a history"),
        (("app:fixed", "--limit", "3", "--unit", "words"), "'words' is no unit: write messages, tokens, turns, groups"),
        (("app:fixed", "--limit", "3", "--codec", "cobol"), "there are no messages of the kind 'cobol'"),
        (("app:fixed", "--limit", "3", "--pin", "last"), "'last' is no pin; write first_user, or head:3"),
        (("app:fixed", "--limit", "3", "--waive", "C01"), "--waive takes CODE=REASON"),
        (("app:fixed", "--limit", "3", "--waive", "C99=x"), "there is no rule 'C99' to waive; there are LR101"),
        (("app:SUBJECTS", "--only", "deque"), "no trimmer there is called 'deque'; there are head and tail, "),
        (("app:fixed", "--limit", "0"), "0 is not in the range x>=1"),
    ],
)
def test_bad_usage(app: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str):
    """
    What cannot be judged is refused with what, why and what to do, and with the exit code of usage.
    """
    monkeypatch.chdir(app)
    done = CliRunner().invoke(cli, ["trim", words[0].replace("app:", "app.py:"), *words[1:]])

    assert Exit.USAGE == done.exit_code, done.output
    assert said in done.output.replace("app.py", "app")
