"""Jobs in processes of their own: what one does to itself hurts no other; environments are made once."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import textwrap
from pathlib import Path
from threading import Event

import pytest
from click.testing import CliRunner

from looprig.carry import copy_of_looprig
from looprig.cli import cli
from looprig.conformance import agents, environment, worker
from looprig.conformance.environment import LOCKS, EnvironmentProblem, ensure, lock, python_of
from looprig.conformance.jobs import Job
from looprig.conformance.run import INTERRUPTED, run_job
from looprig.trimmers.baseline import SUBJECTS

JOB = Job("newest", "made", "trimmers")

LINE = '{"framework": "made", "name": "one", "packages": {}}'


def played(folder: Path, code: str, limit_s: float = 60.0, stop: Event | None = None):
    """Run a job whose worker is *code*; it has the file that it may write to as ``file``."""
    package = folder / "looprig" / "conformance"
    package.mkdir(parents=True)
    (folder / "looprig" / "__init__.py").touch()
    (package / "__init__.py").touch()
    body = textwrap.dedent(code)
    (package / "worker.py").write_text(f"import os, sys, time\nfile = open(sys.argv[3], 'a')\n{body}")
    variables = {"PYTHONPATH": str(folder), "PATH": os.environ.get("PATH", "")}
    return run_job(JOB, Path(sys.executable), variables, limit_s, stop)


def test_job_that_ends_well(tmp_path: Path):
    """
    Each line that a worker writes is a result, whatever it prints beside.
    """
    trimmers, found, trouble = played(tmp_path, f"print('noise'); print('{LINE}', file=file)")

    assert (["one"], [], None) == ([each.name for each in trimmers], found, trouble)


@pytest.mark.parametrize(
    ("code", "because"),
    [("os._exit(3)", r"ended with 3"), ("raise RuntimeError('boom')", r"ended with 1: .*RuntimeError: boom")],
)
def test_job_that_crashes(tmp_path: Path, code: str, because: str):
    """
    What was found before a crash stays, and the crash is told.
    """
    trimmers, _, trouble = played(tmp_path, f"print('{LINE}', file=file, flush=True)\n{code}")

    assert ["one"] == [each.name for each in trimmers]
    assert trouble is not None
    assert re.match(because, trouble.because)


def test_job_that_hangs(tmp_path: Path):
    """
    A job that does not end is stopped, with all processes that it started.
    """
    trimmers, _, trouble = played(tmp_path, f"print('{LINE}', file=file, flush=True)\ntime.sleep(600)", limit_s=1.5)

    assert trouble is not None
    assert "stopped after 1.5 s" == trouble.because
    assert len(trimmers) <= 1  # on a slow machine it may be stopped before it has written anything


def test_job_that_is_interrupted(tmp_path: Path):
    """
    Whoever interrupts a run does not wait for its jobs.
    """
    stop = Event()
    stop.set()

    assert INTERRUPTED == (played(tmp_path, "time.sleep(600)", stop=stop)[2] or pytest.fail("nothing")).because


def test_worker_tests_a_trimmer():
    """
    The worker's result has the cells, the cost and the whole runs of a trimmer.
    """
    subject = next(each for each in SUBJECTS if each.name == "h[-n:]")
    base = next(iter(worker.bases("baseline", [subject])))

    tested = worker.tried(base, subject, sizes=(100, 200))

    assert tested.runs > 2000
    assert tested.cells["LR121"].broken > 0
    assert (tested.cells["LR121"].example or pytest.fail("nothing")).messages <= 6
    assert ["100", "200"] == list((tested.cost or pytest.fail("nothing")).microseconds)
    assert ["agent", "agent", "chain", "parallel"] == [run.kind for run in tested.whole_runs]


def test_agent_is_played():
    """
    A loop that is right breaks nothing, and how it runs the calls of a round is seen.
    """
    result = agents.played("plain", "plain", {})

    assert list(agents.SCENARIOS) == [each.scenario for each in result.scenarios]
    assert {} == dict(result.scenarios[0].broken)
    assert result.parallel is not None
    assert (0, 1.0, 0) == (result.parallel.overlapping, result.parallel.speedup, result.parallel.out_of_order)


def test_smallest_scenario_of_a_violation():
    """
    Of each rule that an agent breaks there is a small scenario and the command that plays it.
    """
    result = agents.played("reference", "reference,policy=seed,max_history_pairs=2", {})
    played = next(each for each in result.scenarios if each.scenario == "pending_calls")
    shown = played.smallest["LR121"]

    assert played.broken["LR121"] > 0
    assert shown.replay.startswith("looprig conformance reference -- run pending_calls --seed 1 --loop reference")
    assert "--set messages=" in shown.replay
    assert "T" in shown.shape


@pytest.mark.parametrize("name", LOCKS)
def test_locks_pin_everything(name: str):
    """
    Each line of a lock is one package at one version, for every registry and machine.
    """
    odd = [line for line in lock(name).splitlines() if not re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", line)]

    assert [] == odd


def test_environment_is_made_once(tmp_path: Path):
    """
    An environment that was made from this very lock is taken as it is.
    """
    python = python_of(tmp_path, "camel")
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "camel" / environment.STAMP).write_text(hashlib.sha256(lock("camel").encode()).hexdigest())

    assert python == ensure(tmp_path, "camel", pytest.fail)


def test_environment_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    What failed is told in one line, with what to do.
    """
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    monkeypatch.setattr("shutil.which", lambda _name: None)

    with pytest.raises(EnvironmentProblem, match="cannot make an environment for the frameworks"):
        ensure(tmp_path, "camel", lambda _text: None)


def test_copy_of_looprig_stands_alone(tmp_path: Path):
    """
    The copy brings the standard scenarios, and nothing that is installed beside looprig here.
    """
    with copy_of_looprig(tmp_path) as own:
        assert ["looprig"] == [path.name for path in own.iterdir()]
        assert (own / "looprig" / "_standard" / "scenarios" / "pending_calls.py").is_file()

    assert [] == list(tmp_path.iterdir())


def test_keys_of_the_caller_stay_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """
    A framework under test gets no Python path but ours.
    """
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("VIRTUAL_ENV", "elsewhere")

    variables = environment.variables(tmp_path)

    assert str(tmp_path) == variables["PYTHONPATH"]
    assert "VIRTUAL_ENV" not in variables


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["langchian"], "did you mean langchain"),
        (["--", "run"], "name exactly one framework"),
        (["langchian", "--", "run"], "did you mean langchain"),
    ],
)
def test_bad_usage(arguments: list[str], told: str, tmp_path: Path):
    """
    A wrong name, or a command without a framework, exits 2 with one line.
    """
    output = ["--output", str(tmp_path / "page.md"), "--env", str(tmp_path / "env")]

    ended = CliRunner().invoke(cli, ["conformance", *output, *arguments])

    assert 2 == ended.exit_code
    assert told in ended.output
    assert not (tmp_path / "page.md").exists()


def test_broken_data_are_not_overwritten(tmp_path: Path):
    """
    Where the file of the last results holds something else, nothing is run and nothing lost.
    """
    (tmp_path / "page.json").write_text("mine")

    ended = CliRunner().invoke(cli, ["conformance", "haystack", "--output", str(tmp_path / "page.md")])

    assert 2 == ended.exit_code
    assert "mine" == (tmp_path / "page.json").read_text()
