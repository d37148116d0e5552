"""`loadtests/chat.py` as locust runs it: in processes of its own, stopped in every way, for a service of one's own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from looprig.load.histogram import Histogram
from looprig.load.plan import Arrivals, Plan, Talk, Think
from looprig.load.stages import hold
from tests.loadtests.rig import (
    LOADTESTS,
    command,
    environment,
    free_port,
    known_service,
    locust,
    tally_of,
    truth,
    two_processes,
    users,
)

CONSTANT = Arrivals(kind="constant")


def plan_for(url: str, folder: Path, **changes) -> Plan:
    usual: dict[str, Any] = {
        "stages": hold(40.0, 1.0),
        "arrivals": CONSTANT,
        "talk": Talk(turns=2, think=Think(median_s=0.05, sigma=0.1)),
        "stop_timeout_s": 20.0,
    }
    return Plan(url=url, folder=str(folder), **(usual | changes))


def counted(plan: Plan, seen: dict[str, Any]) -> None:
    """Hold what was recorded against what the service saw."""
    tally = tally_of(plan)
    counts = tally.counts
    ended = sum(counts.get(how, 0) for how in ("finished", "failed", "cancelled", "dropped"))
    assert counts["offered"] == ended
    assert counts["started"] == seen["started"]
    assert counts["sessions"] == seen["opened"]
    assert counts["finished"] == Histogram.from_builtins(tally.histograms["ttft"]).count


def test_one_process(tmp_path: Path):
    """
    A run comes to its end by itself, exits with 0, and leaves what it recorded: the same as the service saw.
    """
    with known_service("--ttft-ms", "5") as url:
        plan = plan_for(url, tmp_path)
        done = locust(plan)
        seen = truth(url)

    assert 0 == done.returncode, done.stderr
    counted(plan, seen)
    tally = tally_of(plan)
    assert 40 == tally.counts["sessions"]
    assert (1, 0) == (tally.workers_seen, tally.workers_lost)
    assert {"live.json", "plan.json", "tally.json"} == {path.name for path in tmp_path.iterdir()}
    (facts,) = tally.facts.values()
    assert facts["open_files"] is None or facts["open_files"] >= 256
    assert "metric" in done.stderr, "locust's own table shows the metrics"


def test_two_processes(tmp_path: Path):
    """
    `--processes 2` makes the same arrivals as one process, and what both recorded adds up to what the service saw.
    """
    with known_service("--ttft-ms", "5") as url:
        plan = plan_for(url, tmp_path, workers=2)
        done = locust(plan, *two_processes())
        seen = truth(url)

    assert 0 == done.returncode, done.stderr
    counted(plan, seen)
    tally = tally_of(plan)
    assert 40 == tally.counts["sessions"]
    assert (2, 0) == (tally.workers_seen, tally.workers_lost)
    assert 2 == len(tally.facts)


def test_a_worker_that_dies(tmp_path: Path):
    """
    A worker that is killed in the middle is a lost one in the record; the other's turns are all there.
    """
    port = str(free_port())
    with known_service("--ttft-ms", "5") as url:
        plan = plan_for(url, tmp_path, workers=2, stages=hold(20.0, 6.0))
        surroundings = environment(plan)
        bound = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2"]
        joining = ["--worker", "--master-host", "127.0.0.1", "--master-port", port]
        commands = [command(*bound), command(*joining), command(*joining)]
        with open(tmp_path / "log", "w") as log:
            processes = [
                subprocess.Popen(each, env=surroundings, cwd=tmp_path, stdout=log, stderr=log) for each in commands
            ]
            try:
                wait_for(lambda: truth(url)["started"] > 5)
                processes[2].kill()
                codes = [process.wait(120) for process in processes[:2]]
            finally:
                for process in processes:
                    process.kill()
                    process.wait()

    assert [0, 0] == codes, (tmp_path / "log").read_text()
    tally = tally_of(plan)
    assert (2, 1) == (tally.workers_seen, tally.workers_lost)
    assert tally.counts["offered"] > 80


def wait_for(holds, timeout_s: float = 60) -> None:
    """Wait until *holds* does."""
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.1)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_stopped_in_the_middle(tmp_path: Path, sign):
    """
    A run that is stopped leaves its record; turns that were under way are cancelled in it, and none is lost.
    """
    with known_service("--fault", "silent", "--every", "2") as url:
        plan = plan_for(url, tmp_path, stages=hold(20.0, 60.0))
        process = subprocess.Popen(
            command(), env=environment(plan), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(lambda: truth(url)["started"] > 10)
            process.send_signal(sign)
            code = process.wait(60)
        finally:
            process.kill()
            process.wait()
        seen = truth(url)

    assert 0 == code
    counts = tally_of(plan).counts
    assert counts["offered"] == counts["finished"] + counts["cancelled"] + counts.get("failed", 0)
    assert seen["started"] <= counts["started"]  # some may have been stopped before they asked
    assert seen["ended"] >= counts["finished"]
    assert counts["cancelled/interrupted"] > 0
    assert counts["finished"] > 0


EXAMPLE = textwrap.dedent(users.__doc__.partition("::\n\n")[2].partition("\n\n`ChatUser.turn`")[0])


def test_a_service_of_ones_own(tmp_path: Path):
    """
    The example of the documentation, as it stands there, is all that a service of one's own needs.
    """
    file = tmp_path / "support.py"
    file.write_text(EXAMPLE)
    assert "class Support" in EXAMPLE

    with known_service("--ttft-ms", "5") as url:
        plan = plan_for(url, tmp_path / "run", stages=hold(20.0, 0.5))
        done = locust(plan, file=file)
        seen = truth(url)

    assert 0 == done.returncode, done.stderr
    counts = tally_of(plan).counts
    assert 10 == counts["sessions"]
    assert counts["finished"] == seen["ended"] > 10
    assert {"visitor", "message"} == set(seen["seen"][0])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (None, "LOOPRIG_LOAD_PLAN must name a plan's file"),
        ("none.json", "cannot be read"),
        ('{"url": 3}', "is not one"),
        ('{"url": "http://127.0.0.1:1", "talk": {"scenario": "nothing"}}', "there is no scenario 'nothing'"),
    ],
)
def test_a_plan_that_is_none(tmp_path: Path, changes, said: str):
    """
    Without a plan that can be followed, locust ends with 2 and says what is wrong, in one line.
    """
    surroundings = environment(Plan(url="http://127.0.0.1:1", folder=str(tmp_path)))
    if changes is None:
        del surroundings["LOOPRIG_LOAD_PLAN"]
    elif changes.endswith(".json"):
        surroundings["LOOPRIG_LOAD_PLAN"] = str(tmp_path / changes)
    else:
        (tmp_path / "plan.json").write_text(changes)
    done = subprocess.run(command(), env=surroundings, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert 2 == done.returncode
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_record_that_cannot_be_written(tmp_path: Path):
    """
    Where the folder takes no file, a run that went well ends with 1 and says what was lost.
    """
    with known_service("--ttft-ms", "5") as url:
        plan = plan_for(url, tmp_path, stages=hold(20.0, 0.25))
        surroundings = environment(plan)
        (tmp_path / "file").write_text("no folder")
        changed = (tmp_path / "plan.json").read_text().replace(f'"folder":"{tmp_path}"', f'"folder":"{tmp_path}/file"')
        (tmp_path / "plan.json").write_text(changed)
        done = subprocess.run(command(), env=surroundings, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert 1 == done.returncode
    assert "what was recorded is lost" in done.stderr


def test_it_runs_from_the_wheels_place(tmp_path: Path):
    """
    The files find each other wherever they lie, also under a path with a space, and from any working directory.
    """
    place = tmp_path / "some where" / "loadtests"
    shutil.copytree(LOADTESTS, place, ignore=shutil.ignore_patterns("__pycache__"))
    with known_service("--ttft-ms", "5") as url:
        plan = plan_for(url, tmp_path / "run", stages=hold(20.0, 0.25))
        done = locust(plan, file=place / "chat.py")

    assert 0 == done.returncode, done.stderr
    assert 5 == tally_of(plan).counts["sessions"]
