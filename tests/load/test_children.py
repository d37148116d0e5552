"""Processes of a load run: their exit codes come through, and none outlives whoever asked for them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from looprig.load.children import CannotRun, Child, variables

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
open(f"{sys.argv[1]}/{os.getpid()}", "w").close()
time.sleep(600)
"""
"""Ignores that it is asked to end, and so does what it starts."""

POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
print("ready", flush=True)
time.sleep(600)
"""


def child(tmp_path: Path, source: str, *words: str, piped: bool = False) -> Child:
    return Child([sys.executable, "-c", source, *words], tmp_path / "log", variables(), piped=piped)


@pytest.mark.parametrize(("source", "code"), [("pass", 0), ("raise SystemExit(7)", 7)])
def test_exit_code(tmp_path: Path, source: str, code: int):
    """
    A command's exit code is its child's.
    """
    with child(tmp_path, source) as started:
        assert started.wait(60) == code


def test_exit_by_signal(tmp_path: Path):
    """
    One that a signal ended has 128 and the signal's number, as a shell says it.
    """
    with child(tmp_path, "import os; os.kill(os.getpid(), 9)") as started:
        assert started.wait(60) == 128 + signal.SIGKILL


def test_asked_to_end(tmp_path: Path):
    """
    A command that is asked to end does so in its own way.
    """
    with child(tmp_path, POLITE, piped=True) as started:
        assert started.output.readline() == b"ready\n"
        assert started.end(60) == 9


def test_last_lines(tmp_path: Path):
    """
    What a command said last on standard error is told on one line.
    """
    with child(tmp_path, "import sys; sys.stderr.write('one\\ntwo\\n\\nthree\\n')") as started:
        started.wait(60)
        assert started.last_lines() == "one | two | three"


def test_stubborn(tmp_path: Path):
    """
    A command that does not go when asked is killed, with what it started.
    """
    (tmp_path / "pids").mkdir()
    with child(tmp_path, STUBBORN, str(tmp_path / "pids")) as started:
        pids = started_pids(tmp_path / "pids")
        started.end(0.1)

    assert not any(alive(pid) for pid in pids)


def test_nobody_is_left_when_we_are_killed(tmp_path: Path):
    """
    When the process that asked for a command is killed, the command ends, and what it started does.
    """
    (tmp_path / "pids").mkdir()
    asker = os.fork()
    if asker == 0:
        child(tmp_path, STUBBORN, str(tmp_path / "pids"))
        time.sleep(600)
        os._exit(0)
    pids = started_pids(tmp_path / "pids")
    os.kill(asker, signal.SIGKILL)
    os.waitpid(asker, 0)

    end = time.monotonic() + 60
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def test_no_folder(tmp_path: Path):
    """
    A log that cannot be written is told before anything is started.
    """
    with pytest.raises(CannotRun, match="choose another folder with --out FOLDER"):
        child(tmp_path / "none", "pass")


def test_variables(monkeypatch: pytest.MonkeyPatch):
    """
    Children find the looprig that started them, and no proxy between them.
    """
    monkeypatch.setenv("NO_PROXY", "example.org")
    made = variables(LOOPRIG_LOAD_PLAN="plan.json")

    assert made["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert made["PYTHONPATH"].split(os.pathsep)[0] == str(Path(__file__).parents[2])
    assert made["LOOPRIG_LOAD_PLAN"] == "plan.json"


def started_pids(folder: Path) -> list[int]:
    end = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    pids = [int(path.name) for path in folder.iterdir()]
    assert len(pids) == 2
    return pids


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
