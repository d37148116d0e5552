"""Loops of two revisions, played in their homes: exact figures, errors, and an end that leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from looprig.revisions.strangers import strangers
from tests.revisions.repositories import commit, loop
from tests.revisions.repositories import git as run_git

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one commit of a loop; the temporary folder beside it is that of what `started` starts."""
    (tmp_path / "temporary").mkdir()
    commit(tmp_path / "project", {"app.py": loop()})
    return tmp_path / "project"


def started(project: Path, *words: str) -> subprocess.Popen[str]:
    """Start ``looprig compare`` in the project."""
    environment = {**os.environ, "TMPDIR": str(project.parent / "temporary")}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "looprig", "compare", *words], cwd=project, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def compared(project: Path, *words: str) -> tuple[int, str, str]:
    """Return the exit code, output and errors of ``looprig compare`` on a small scenario."""
    small = ("repeated_ids", "--set", "turns=5", "--rounds", "1", "--loop", "app:make_loop", "--no-cpu-time")
    process = started(project, *small, *words)
    output, errors = process.communicate(timeout=120)
    assert [] == list((project.parent / "temporary").iterdir())
    assert 1 == len(run_git(project, "worktree", "list").splitlines())
    return process.returncode, output, errors


def verdicts(output: str) -> dict[str, str]:
    """Return the verdict of each exact metric."""
    return {each["metric"]: each["verdict"] for each in json.loads(output)["comparisons"] if each["exact"]}


def test_planted_regression(project: Path):
    """
    A revision that sends each message twice is found, and so is that the other way round is better.
    """
    commit(project, {"app.py": loop().replace("model.complete(list(history))", "model.complete(history + history)")})

    code, output, _ = compared(project, "--rev", "HEAD~1", "--rev", "HEAD", "--format", "json")
    back = compared(project, "--rev", "HEAD", "--rev", "HEAD~1", "--format", "json")[1]

    assert "regressed" == verdicts(output)["tokens_sent"]
    assert "improved" == verdicts(back)["tokens_sent"]
    assert code == (1 if json.loads(output)["after"]["broken"] else 0)


def test_planted_cpu_time(project: Path):
    """
    A revision that takes CPU time for nothing is found although no exact figure changes: exit 3.
    """
    commit(project, {"app.py": loop("sum(range(10_000))")})
    words = ["repeated_ids", "--set", "turns=5", "--loop", "app:make_loop", "--rev", "HEAD~1", "--rev", "HEAD"]
    process = started(project, *words, "--budget", "300", "--format", "json")
    output, errors = process.communicate(timeout=300)

    assert {"unchanged"} == set(verdicts(output).values())
    (found,) = [each for each in json.loads(output)["comparisons"] if each["layer"] == "cpu-time"]
    assert (3, "regressed") == (process.returncode, found["verdict"]), errors
    assert found["interval"][0] > 1.02


def test_broken_invariant(project: Path):
    """
    The exit code is about AFTER alone: 1 where it breaks an invariant, and 0 where only BEFORE did.
    """
    commit(project, {"app.py": loop().replace("model.complete(list(history))", "model.complete(history[-1:])")})

    assert 1 == compared(project, "--rev", "HEAD~1", "--rev", "HEAD")[0]
    assert 0 == compared(project, "--rev", "HEAD", "--rev", "HEAD~1")[0]


def test_equal_revisions(project: Path):
    """
    A revision against itself has no exact figure that changed; files as they are count without a commit.
    """
    code, output, errors = compared(project, "--rev", "HEAD", "--rev", "main", "--format", "json")
    assert (0, {"unchanged"}) == (code, set(verdicts(output).values()))
    assert "both sides are the same revision" in errors

    (project / "app.py").write_text(loop("pass  # as it is now"))
    code, output, _ = compared(project, "--rev", "HEAD", "--format", "json")
    assert (0, {"unchanged"}) == (code, set(verdicts(output).values()))
    assert "app:make_loop at WORKTREE" == json.loads(output)["after"]["loop"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nothing_of_this_name", "importing app failed: No module named 'nothing_of_this_name'"),
        ("def make_lop(): pass", "app has no 'make_loop'; did you mean 'make_lop'?"),
        ("def make_loop(model, tools): raise OSError('no key')", "the factory make_loop raised OSError: no key"),
        (
            "def make_loop(model, tools): print('bye', flush=True); __import__('os')._exit(9)",
            "the loop's process ended with 9 while a scenario was played; it said: bye",
        ),
        ("make_loop = 3; print('{}')", "app:make_loop is int, not a factory"),
    ],
)
def test_revision_that_cannot_be_played(project: Path, source: str, said: str):
    """
    A revision whose loop is not there, does not import or ends its process: exit 2, the side by name, and why.
    """
    commit(project, {"app.py": source})

    code, output, errors = compared(project, "--rev", "HEAD~1", "--rev", "HEAD")

    assert (2, "") == (code, output)
    assert said in errors
    assert "error: HEAD (" in errors
    assert "Traceback" not in errors


def test_printing_loop(project: Path):
    """
    What a loop prints does not come between the answers of its process, nor between the results.
    """
    commit(project, {"app.py": loop("print('{}'); __import__('os').system('echo {}')")})

    code, output, errors = compared(project, "--rev", "HEAD~1", "--rev", "HEAD", "--format", "json")

    assert (3, {"unchanged"}) == (code, set(verdicts(output).values()))  # 3: printing takes calls
    assert "{}\n" in errors


def test_environment_in_the_users_tree(tmp_path: Path):
    """
    Strangers are files of the user's tree; an environment that lies there, and a temporary folder, are not meant.
    """
    files = ["app.py", ".venv/lib/python3.11/site-packages/x.py", "python/os.py", "tmp/old/app.py"]
    spared = [tmp_path / "python", tmp_path / "tmp"]

    assert ["app.py"] == strangers([str(tmp_path / file) for file in files], tmp_path, spared)


def test_loop_that_is_not_of_the_revision(project: Path):
    """
    A loop that both sides would share is refused: nothing could ever change.
    """
    code, _, errors = compared(project, "--rev", "HEAD", "--loop", "reference")

    assert 2 == code
    assert "which is not a part of the revision; name a loop of this repository with --loop" in errors


def test_module_of_the_users_tree(project: Path):
    """
    A module that a revision does not have is not taken from the user's tree behind its back.
    """
    commit(
        project, {"helper.py": "", "app.py": f"import sys; sys.path.append({str(project)!r}); import helper\n{loop()}"}
    )
    run_git(project, "rm", "--quiet", "--cached", "helper.py")
    run_git(project, "commit", "--quiet", "--message", "without")

    code, _, errors = compared(project, "--rev", "HEAD~1", "--rev", "HEAD")

    assert 2 == code
    assert "imported helper.py of your own work tree, and not of the revision" in errors


def test_loop_of_each_side(project: Path):
    """
    A factory that was renamed is named for each side, and it is found where the user stands.
    """
    commit(project, {"deep/chat.py": loop().replace("make_loop", "make")})

    words = [
        "--rev",
        "HEAD",
        "--loop",
        "app:make_loop",
        "--loop",
        "deep.chat:make",
        "--no-cpu-time",
        "--format",
        "json",
    ]
    process = started(project, "repeated_ids", "--set", "turns=3", "--rounds", "1", *words)
    output, errors = process.communicate(timeout=120)

    assert 0 == process.returncode, errors
    assert {"unchanged"} == set(verdicts(output).values())


def test_looprig_itself(tmp_path: Path):
    """
    In looprig's own repository the loop is the revision's, and the harness is the caller's on both sides.
    """
    broken = {"looprig/__init__.py": "raise OSError('the harness of the revision')"}
    commit(tmp_path / "project", {**broken, "reference_loop/__init__.py": loop()})
    (tmp_path / "temporary").mkdir()
    process = started(tmp_path / "project", "repeated_ids", "--set", "turns=3", "--no-cpu-time", "--rev", "HEAD")
    _, errors = process.communicate(timeout=120)
    assert 0 == process.returncode, errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--setup", "true", "a:b", "a:c"], "--setup goes with --rev"),
        (["--loop", "a:b", "a:b", "a:c"], "--loop goes with --rev"),
        (["--rev", "a", "--rev", "b", "--rev", "c"], "--rev is given once or twice"),
        (["--rev", "a"], "there is no revision 'a'"),
        (["--rev", "HEAD", "no_scenario"], "no_scenario"),
    ],
)
def test_bad_words(project: Path, words: list[str], said: str):
    """
    What cannot be meant is refused with the option's name, exit 2.
    """
    process = started(project, *words)
    _, errors = process.communicate(timeout=60)

    assert 2 == process.returncode
    assert said in errors


def test_interrupt(project: Path):
    """
    Ctrl-C in the middle of a run: exit 130, and no work tree, process or file stays.
    """
    commit(project, {"app.py": loop("open('started', 'w').close(); __import__('signal').pause()")})
    temporary = project.parent / "temporary"
    with started(project, "repeated_ids", "--rev", "HEAD", "--loop", "app:make_loop") as process:
        deadline = time.monotonic() + 60
        while not list(temporary.glob("*/old/started")) and time.monotonic() < deadline:
            time.sleep(0.05)
        (folder,) = temporary.iterdir()
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert (130, "interrupted") == (process.returncode, errors.strip())
    assert [] == list(temporary.iterdir())
    assert 1 == len(run_git(project, "worktree", "list").splitlines())
    assert not processes_in(folder)


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of processes that run in *folder*."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found
