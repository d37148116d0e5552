"""Growth of loops with planted work for each message held, and of their flat twins."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from looprig import cli, content, growth, instructions
from looprig.exits import Exit
from looprig.growth import Growth
from looprig.home import Party, here
from looprig.verdicts import Verdict
from tests.counted.job import BROKEN, SILENT, planted


def look(spec: str, messages: int, *metrics: str) -> dict[str, Growth]:
    scenario = content.find_scenario("long_conversation").make(1, {"messages": str(messages)})
    found = growth.judge(Party(here(), spec), scenario, growth.Plan(metrics=metrics), SILENT)
    return {each.metric: each for each in found}


@pytest.mark.parametrize(("extra", "messages"), [("slice", 10_000), ("search", 2048), ("recount", 2048)])
def test_work_for_each_message_held(extra: str, messages: int):
    """
    The CPU clock finds work for each message held, also where it hides inside of C code: a slice at 10,000 messages.
    """
    found = look(planted(extra=extra), messages, "cpu_time")["cpu_time"]

    assert Verdict.REGRESSED is found.verdict, found
    assert "add" in found.sentence


@pytest.mark.parametrize("spec", [planted(extra="slice", twin="on"), planted(extra="rebuild")])
def test_flat_loop_is_not_accused(spec: str):
    """
    A loop that does the same for every message never fails; neither does one that rebuilds something now and then.

    A busy machine may leave it undecided, and a test must not fail for that.
    """
    found = look(spec, 4096, "cpu_time")["cpu_time"]

    assert found.verdict in (Verdict.UNCHANGED, Verdict.UNDECIDED), found


@pytest.mark.skipif(instructions.missing() is not None, reason=str(instructions.missing()))
@pytest.mark.parametrize(
    ("spec", "verdict", "word"),
    [
        (planted(extra="slice"), Verdict.REGRESSED, "linear"),
        (planted(extra="slice", twin="on"), Verdict.UNCHANGED, "flat"),
    ],
)
def test_instructions(spec: str, verdict: Verdict, word: str):
    """
    One exact count finds the same, and what it reads is a line.
    """
    found = look(spec, 1024, "instructions")["instructions"]

    assert (verdict, word) == (found.verdict, found.word)


@pytest.mark.parametrize(
    ("spec", "growing"),
    [
        (planted(), set()),
        (planted(send="on"), {"tokens", "retained_bytes"}),
        (planted(leak="on"), {"retained_bytes"}),
        ("reference", set()),
        ("reference,policy=never", {"tokens"}),
    ],
)
def test_tokens_and_memory(spec: str, growing: set[str]):
    """
    A loop that sends more and more, or keeps what it no longer sends, is found; the others are not.
    """
    found = look(spec, 1024, "tokens", "retained_bytes")

    assert growing == {name for name, each in found.items() if each.verdict is Verdict.REGRESSED}


def looprig(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "looprig", "growth", *words], cwd=cwd, capture_output=True, text=True, timeout=300
    )


def test_command(tmp_path: Path):
    """
    The command exits with 3 where a limit is exceeded; its JSON has the costs, and its last line the verdict.
    """
    words = ["--loop", planted(send="on"), "--messages", "1024", "--cost", "tokens"]

    as_json = looprig(*words, "--format", "json", cwd=tmp_path)
    as_text = looprig(*words, cwd=tmp_path)

    assert Exit.REGRESSED == as_json.returncode == as_text.returncode
    (told,) = json.loads(as_json.stdout)["growth"]
    assert ("tokens", "linear", "regressed") == (told["metric"], told["reads"], told["verdict"])
    assert len(told["ends"]) == len(told["costs"]) == len(told["messages"])
    assert "FAILED  cost per message grows: tokens sent" == as_text.stdout.splitlines()[-1]


def test_markdown_of_a_flat_loop(tmp_path: Path):
    """
    As Markdown, the verdict comes first.
    """
    done = looprig("--messages", "1024", "--cost", "tokens", "--format", "markdown", cwd=tmp_path)

    assert Exit.PASSED == done.returncode
    assert "## PASSED  no cost per message grows beyond its limit" == done.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--messages", "100"], "99 messages are too few to see how cost grows"),
        (["repeated_ids"], "repeated_ids has no parameter 'messages'"),
        (["--loop", "no_such:loop"], "there is no module 'no_such'"),
        (["--loop", f"{BROKEN}:raises", "--cost", "tokens", "--messages", "1024"], "no disk today"),
    ],
)
def test_usage(tmp_path: Path, words: list[str], says: str):
    """
    What cannot be looked at is one line on standard error, and exit 2.
    """
    done = looprig(*words, cwd=tmp_path)

    assert Exit.USAGE == done.returncode
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_names():
    """
    The command offers what can be measured.
    """
    assert cli.GROWTH == growth.METRICS
