"""Users' benchmarks on two revisions: found by pytest, timed in fresh interpreters, judged by the rule for CPU time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from looprig.benchmarks.pairs import NO_SCENARIO, BenchmarkProblem, bench, find_both, judge_benchmarks
from looprig.benchmarks.worker import calibrated, calls, calls_between
from looprig.home import Home
from looprig.paired import Plan
from looprig.paired.crew import Design
from looprig.paired.session import Bounds, drawn, play
from looprig.progress import Tell
from looprig.revisions import git, homes
from looprig.verdicts import Verdict
from tests.revisions.repositories import commit

ROOT = Path(__file__).parents[2]

SILENT = Tell(lambda number, name: None, lambda turn, turns: None)

QUIET = (
    "[pytest]\naddopts = -p no:looptime_plugin -p no:looptime_chronometers -p no:looptime_timeproxies -p no:locust\n"
)
"""looptime's plugins want pytest-asyncio."""

BENCHMARKS = """
import pytest
from app import work

def test_work(benchmark):
    assert benchmark(work, 2000) == benchmark.extra_info.get("n", 1999000)

def test_pedantic(benchmark):
    def setup():
        return ([1, 2],), {}

    def target(made):
        assert [1, 2] == made  # a fresh list each time
        made.append(3)

    benchmark.pedantic(target, setup=setup, rounds=3)

@pytest.mark.skip(reason="not today")
def test_skipped(benchmark):
    benchmark(work, 1)

def test_statistics(benchmark):
    benchmark(work, 1)
    assert not benchmark.enabled or benchmark.stats.stats.min < 9

def test_no_benchmark():
    raise SystemExit("nobody calls this")
"""

FAST = "def work(n): return sum(range(n))"
SLOW = "def work(n): return sum(range(n)) + 0 * sum(range(n))"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose second commit does its work twice."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    folder = tmp_path / "project"
    commit(folder, {"app.py": FAST, "pytest.ini": QUIET, "perf/test_app.py": BENCHMARKS})
    commit(folder, {"app.py": SLOW})
    return folder


@pytest.fixture
def pair(project: Path) -> Iterator[homes.Pair]:
    """The homes of both commits."""
    with homes.homes(git.repository(project), ("HEAD~1", "HEAD"), None, lambda text: None) as made:
        yield made


def test_planted_slowdown(pair: homes.Pair):
    """
    Work done twice is a regression; its ratio is what it is in work units, within what looprig says of it.
    """
    both = find_both(pair, ["perf", "-k", "test_work"])
    (found,) = judge_benchmarks(both, Plan(budget_s=300, seed=1), SILENT)

    assert Verdict.REGRESSED is found.verdict, found
    assert "perf/test_app.py::test_work" == found.scenario
    assert found.ratio is not None
    assert 1.5 < found.ratio < 2.5
    assert found.before is not None
    assert 0.5 < found.before < 2000  # microseconds a call


def test_found_by_pytest(pair: homes.Pair):
    """
    What uses the fixture is a benchmark; one that fails, is skipped or is on one side alone stays undecided and says
    so; a file of benchmarks that changed is said.
    """
    (pair.after.folder / "perf" / "test_app.py").write_text(
        BENCHMARKS.replace("1999000", "0") + "\ndef test_new(benchmark):\n    benchmark(work, 1)\n"
    )
    both = find_both(pair, ["perf"])

    troubles = {id_.partition("::")[2]: both.trouble(id_) for id_ in both.ids()}
    assert {"test_pedantic": "", "test_statistics": ""} == {id_: text for id_, text in troubles.items() if not text}
    assert "in HEAD~1" in troubles["test_skipped"]
    assert "it is skipped: Skipped: not today" in troubles["test_skipped"]
    assert "it fails: AssertionError: assert 1999000 == 0" in troubles["test_work"]
    assert troubles["test_new"].startswith("it is not in HEAD~1")
    assert "test_no_benchmark" not in troubles


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"app.py": "import nothing_of_this_name"}, "No module named 'nothing_of_this_name'"),
        ({"perf/test_app.py": "def test_x(:"}, "SyntaxError"),
        ({"pytest.ini": "[pytest]\naddopts = --no-such-option\n"}, "--no-such-option"),
    ],
)
def test_revision_without_benchmarks(project: Path, broken: dict[str, str], said: str):
    """
    A revision whose benchmarks cannot be collected is named, and so is the reason.
    """
    commit(project, broken)
    with (
        homes.homes(git.repository(project), ("HEAD", "HEAD~1"), None, lambda text: None) as pair,
        pytest.raises(BenchmarkProblem, match=r"^HEAD \(") as problem,
    ):
        find_both(pair, ["perf"])
    assert said in str(problem.value)


def test_own_benchmarks(tmp_path: Path):
    """
    The benchmarks of this repository run under it, and what they time is the looprig of the revision.
    """
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is no revision")
    with homes.homes(git.repository(ROOT), ("WORKTREE", "WORKTREE"), None, lambda text: None) as pair:
        words = ["tests/perf/test_anthropic_gemini_speed.py::test_gemini_rules"]
        both = find_both(pair, words)
        assert words == both.ids() == [job.scenario_name for job in both.jobs()]
        (job,) = both.jobs()
        packed = tmp_path / "none"
        packed.write_bytes(NO_SCENARIO)
        draw = drawn(Random(1), 2)
        session, size = play([job.before, job.after], packed, draw, Design.APART, None, Bounds(60, 300))

    assert size.plays >= 1
    assert 0.25 < 2.71828**session.log_ratio < 4.0  # both sides are the same


def worker(home: Home, arguments: Sequence[str], said: str) -> list[dict[str, object]]:
    """Return what a worker answers to what is *said*."""
    made = bench(home)
    done = subprocess.run(
        made.command("", "none", "-", *arguments),
        cwd=home.folder, env=dict(made.variables(0)), input=said, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_worker(pair: homes.Pair):
    """
    The worker speaks as that of loops does, line by line, whatever tests print; pedantic calls get fresh arguments.
    """
    answers = worker(
        pair.before, ["perf/test_app.py::test_pedantic"], "calibrate 0 100000\ncut 7\nsettle\ngo 0 0\nquit\n"
    )

    assert {"ready": 1} == answers[0]
    assert [{"plays", "cpu_ns", "turns"}, {"legs"}, {"settled"}, {"times"}, {"cpu_ns", "failed"}] == [
        set(each) for each in answers[1:]
    ]
    assert 2 == len(list(answers[4]["times"]))  # type: ignore[call-overload]


def test_worker_of_a_test_that_fails(pair: homes.Pair):
    """
    A benchmark that raises, or is none, is an answer and not a hang.
    """
    (pair.before.folder / "perf" / "test_bad.py").write_text(
        "def test_bad(benchmark):\n    benchmark(lambda: 1 / 0)\ndef test_none(benchmark):\n    pass\n"
    )

    assert "ZeroDivisionError" in str(worker(pair.before, ["perf/test_bad.py::test_bad"], "")[-1]["error"])
    assert "did not run" in str(worker(pair.before, ["perf/test_bad.py::test_none"], "")[-1]["error"])


def test_batches():
    """
    A batch is as many calls as it says; calibration finds a number whose batch lasts about as long as is wanted.
    """
    seen: list[int] = []
    calls(seen.append, (1,), {})(5)
    assert 5 == len(seen)

    order: list[str] = []

    def made() -> tuple[tuple[str], dict[str, str]]:
        order.append("made")
        return ("called",), {}

    calls_between(order.append, made, lambda word: order.append(f"after {word}"))(2)
    assert ["made", "called", "after called"] * 2 == order

    assert (128, 1_280_000) == calibrated(lambda count: (10_000 * count, 0), 1_000_000)
    assert (1, 5_000_000) == calibrated(lambda count: (5_000_000 * count, 0), 1_000_000)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--benchmarks", "perf"], 2, "--benchmarks needs --rev"),
        (["--benchmarks", "perf", "--rev", "HEAD", "stray"], 2, "nothing to do with 'stray'; try -k"),
        (["--benchmarks", "perf", "--rev", "HEAD", "-k", "nothing"], 5, "no benchmark was found"),
        (["--benchmarks", "nowhere", "--rev", "HEAD"], 2, "file or directory not found: nowhere"),
    ],
)
def test_command(project: Path, words: list[str], code: int, said: str):
    """
    Exit codes and errors of the command line.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "looprig", "compare", *words],
        cwd=project, env={**os.environ, "TMPDIR": tempfile.gettempdir()}, capture_output=True, text=True,
    )  # fmt: skip

    assert (code, True) == (done.returncode, said in done.stderr), done.stderr
    assert "Traceback" not in done.stderr
