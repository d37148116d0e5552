"""``looprig load`` as it is called: real services, real locust, every outcome with its exit code, and nothing left.

Latencies are not judged tightly here, since the machine may be slow: `--late-most` accepts any lateness, and what has
to be missed is planted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from looprig.cli import cli
from looprig.load.running import free_port
from tests.load.started import Start

ROOT = Path(__file__).parents[2]

SHORT = ["--for", "1s", "--rate", "10", "--turns", "3", "--think", "50ms"]
QUICK = [*SHORT, "--ttft", "1ms", "--itl", "1ms"]
TO = [*SHORT, "--url"]
LATE = ["--late-most", "60s", "--drain", "60s"]
LAX = ["--threshold", "error_rate < 50%"]

ORPHAN = [
    *("--loop", "reference,policy=seed,max_history_pairs=10"),
    *("--scenario", "long_tool_chain", "--set", "before=0", "--set", "rounds=30", "--turns", "1", "--rate", "3"),
]
"""A policy that cuts calls from their results, and a turn that is long enough for it."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A service that is there for all runs that need none of their own."""
    command = [sys.executable, "-m", "looprig", "serve", "loop", "--ttft", "1ms", "--itl", "1ms"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as service:
        try:
            assert service.stdout is not None
            yield service.stdout.readline().split()[1]
            assert service.poll() is None, "a run ended a service that is not its own"
        finally:
            service.terminate()
            service.communicate(timeout=60)


def test_pass(start: Start):
    """
    One command starts service and model, makes open arrivals, prints the tables, writes the summary and the pages, and
    exits with 0; what the service counted is what was counted here, and nothing is left running.
    """
    run = start(*QUICK, *LATE, *LAX)
    code, out, errors = run.end()

    assert code == 0, out + errors
    assert out.splitlines()[-1].startswith("PASSED  1 threshold met, no invariant broken; ")
    summary = run.summary
    assert summary["outcome"] == "pass"
    assert summary["counts"]["offered"] == summary["counts"]["finished"] == summary["server"]["finished"] > 10
    assert summary["server"]["sessions_opened"] == summary["counts"]["sessions"]
    assert summary["plan"]["url"].startswith("http://127.0.0.1:")
    assert "LATENCIES" in out
    assert {"summary.json", "report.html", "report.md", "plan.json", "tally.json", "locust.log"} <= {
        path.name for path in (run.folder / "out").iterdir()
    }
    assert run.nothing_left()


@pytest.mark.parametrize(
    ("words", "code", "outcome", "said"),
    [
        # Every turn is late by 300 ms, which few samples show as well.
        (["--fault", "stall:ms=300", "--threshold", "ttft.p95 < 300ms"], 3, "slo", "FAILED  missed: ttft.p95 < 300ms"),
        (["--fault", "cut", "--threshold", "error_rate < 1%"], 3, "slo", "failed   broken stream"),
        (
            [*ORPHAN, *LAX],
            1,
            "violated",
            "FAILED  LR",
        ),
    ],
    ids=["stall", "cut stream", "orphan"],
)
def test_planted(start: Start, words: Sequence[str], code: int, outcome: str, said: str):
    """
    Each planted fault ends with its own outcome and exit code, and the last lines say which it was.
    """
    run = start(*QUICK, *LATE, *words)
    ended, out, errors = run.end()

    assert (code, outcome) == (ended, run.summary["outcome"]), out + errors
    assert said in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--late-most", "0s", *LAX], "INVALID  nothing is said of the service: gen.beat.p99"),
        (["--threshold", "ttft.p99.9 < 60s"], "n too small"),
    ],
    ids=["late generator", "too few"],
)
def test_not_valid(start: Start, url: str, words: Sequence[str], said: str):
    """
    A generator that is late, and a run that is too short for its threshold, give no verdict: exit code 4.
    """
    run = start(*TO, url, *LATE, *words)
    code, out, errors = run.end()

    assert (code, "invalid") == (4, run.summary["outcome"]), out + errors
    assert said in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(start: Start, number: signal.Signals):
    """
    An interrupted run writes what it has seen, exits with 130, and leaves nothing running.
    """
    run = start(*QUICK, *LATE, *LAX, "--for", "300s")
    assert run.under_way()

    run.process.send_signal(number)
    code, out, errors = run.end()

    assert code == 130, out + errors
    assert run.summary["outcome"] == "interrupted"
    assert run.summary["counts"]["finished"] > 0
    assert "INTERRUPTED" in out
    assert run.nothing_left()


def test_killed(start: Start):
    """
    Also where looprig itself is killed, nothing that it started goes on.
    """
    run = start(*QUICK, *LATE, *LAX, "--for", "300s")
    assert run.under_way()
    assert len(run.living()) >= 5  # looprig, two keepers, the service, locust

    run.process.kill()

    assert run.nothing_left()


def test_service_that_dies(start: Start):
    """
    A service that ends in the middle of the run ends the run, with what was seen until then and exit code 4.
    """
    run = start(*QUICK, *LATE, *LAX, "--for", "300s")
    assert run.under_way()

    (service,) = run.of("serve")
    service.kill()
    code, out, errors = run.end()

    assert code == 4, out + errors
    assert run.summary["outcome"] == "error"
    assert "the service ended in the middle of the run, with exit code 137" in out
    assert run.summary["counts"]["finished"] > 0
    assert run.nothing_left()


def test_locust_that_dies(start: Start, url: str):
    """
    So does a generator that is killed: what it recorded last is in the summary.
    """
    run = start(*TO, url, *LATE, *LAX, "--for", "300s")
    assert run.under_way()

    (locust,) = run.of("locust")
    locust.kill()
    code, out, errors = run.end()

    assert code == 4, out + errors
    assert "locust ended without a record of the run" in out
    assert run.summary["counts"]["finished"] > 0
    assert run.nothing_left()


def test_processes(start: Start, url: str):
    """
    Two processes share the arrivals of one schedule; their counts add up to the service's.
    """
    run = start(*TO, url, *LATE, *LAX, "--processes", "2")
    code, out, errors = run.end()

    # On a machine that gives a process no time at all for a second its lateness may not have been measured.
    assert code in (0, 4), out + errors
    summary = run.summary
    assert {gate["name"] for gate in summary["validity"] if not gate["held"]} <= {"gen.beat.p99"}
    assert summary["workers"] == {"expected": 2, "seen": 2, "lost": 0}
    assert summary["counts"]["finished"] == summary["server"]["finished"] > 10
    assert summary["metrics"]["ttft"]["count"] == summary["window"]["finished"]
    assert run.nothing_left()


def test_lost_worker(start: Start, url: str):
    """
    A worker that is killed makes the run invalid, whatever the rest of it measured, and it is not made to its end.
    """
    run = start(*TO, url, *LATE, *LAX, "--processes", "2", "--for", "300s")
    assert run.under_way()

    locusts = run.of("locust")
    workers = [each for each in locusts if each.ppid() in {other.pid for other in locusts}]
    assert len(workers) == 2
    workers[0].kill()
    code, out, errors = run.end()

    assert code == 4, out + errors
    assert run.summary["workers"]["lost"] == 1
    assert "were lost; the limit is 2, none lost" in out
    assert run.nothing_left()


def test_no_service(start: Start):
    """
    Where nobody answers nothing is started, and the exit code says that nothing ran.
    """
    run = start(*QUICK, "--url", f"http://127.0.0.1:{free_port()}")
    code, out, errors = run.end()

    assert (code, out) == (5, "")
    assert "no service answers at http://127.0.0.1:" in errors
    assert "leave --url out" in errors


def limited() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_full_disk(start: Start):
    """
    A disk that takes nothing more is told before anything is started: a file may not become long here.
    """
    run = start(*QUICK, preexec_fn=limited)
    code, out, errors = run.end()

    assert (code, out) == (2, "")
    assert "error: cannot write in out: " in errors
    assert "choose another folder with --out FOLDER" in errors


def test_disk_that_fills_up(start: Start, tmp_path: Path):
    """
    A disk that is full at the end costs the files and not the figures: they are printed, and the error is told.
    """
    disk = tmp_path / "out"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        run = start(*QUICK, *LATE, *LAX, "--for", "4s")
        assert run.under_way()
        with (disk / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(1024))
            except OSError:
                pass
        code, out, errors = run.end()
        assert code == 2, out + errors
        assert "LATENCIES" in out
        assert "error: cannot write in out: No space left on device" in errors
        assert run.nothing_left()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_locust_that_cannot_begin(start: Start, tmp_path: Path):
    """
    A locust file that is broken is the user's to mend: exit code 2, with what locust said.
    """
    (tmp_path / "mine.py").write_text("import no_such_module\n")
    run = start(*QUICK, "--locustfile", "mine.py")
    code, out, errors = run.end()

    assert (code, out) == (2, "")
    assert "locust could not begin, and ended with exit code 1" in errors
    assert "No module named 'no_such_module'" in errors
    assert run.nothing_left()


def test_service_that_does_not_start(start: Start):
    """
    A fault that there is not is told in the service's own words.
    """
    run = start(*QUICK, "--fault", "earthquake")
    code, _, errors = run.end()

    assert code == 2
    assert "the service did not start: " in errors
    assert "earthquake" in errors


@pytest.mark.parametrize("protocol", ["session", "chat-completions"])
def test_existing_service(start: Start, url: str, protocol: str):
    """
    A service that is there already is used, compared with, and left running; its loop is not ours to name.
    """
    run = start(*TO, url, *LATE, *LAX, "--protocol", protocol)
    code, out, errors = run.end()

    assert code == 0, out + errors
    assert run.summary["loop"] is None
    assert run.summary["server"]["finished"] == run.summary["counts"]["finished"] > 10


def test_replay(start: Start, url: str, tmp_path: Path):
    """
    A trace is replayed to its end: each of its arrivals is a session, and all of them come to their end.
    """
    (tmp_path / "trace.jsonl").write_text("".join(f'{{"at_s": {at}}}\n' for at in (0, 0.2, 0.2, 0.9)))
    run = start(*SHORT[4:], "--url", url, *LATE, *LAX, "--users", "replay", "--trace", "trace.jsonl")
    code, out, errors = run.end()

    assert code == 0, out + errors
    assert (run.summary["counts"]["sessions"], run.summary["counts"]["finished"]) == (4, 12)
    assert "arrivals of trace.jsonl, 1 times as long" in out


def test_knee(start: Start):
    """
    The search makes runs on one service, and says with which rate it stopped and why.
    """
    words = ["--for", "700ms", "--think", "10ms", "--ttft", "1ms", "--itl", "1ms", "--turns", "2"]
    run = start(*words, *LATE, *LAX, "--rate", "8", "--knee", "--runs-most", "2")
    code, out, errors = run.end()

    assert code == 0, out + errors
    knee = json.loads((run.folder / "out" / "knee.json").read_text())
    assert (knee["low"], knee["high"], knee["exhausted"]) == (8, None, True)
    assert out.splitlines()[-1].startswith("PASSED  the knee, in sessions: at least 8/s")
    assert "2 of 2" in out
    assert run.nothing_left()


# ---------------------------------------------------------------------------------------------------------------------
# Without a run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--for", "soon"], "'soon' is no duration; write one such as 60s"),
        (["--for", "0s"], "--for takes a time above 0"),
        (["--threshold", "tftt.p95 < 1s"], "column 1: there is no metric 'tftt'; did you mean 'ttft'?"),
        (["--slo", "ttft=8"], "column 7: the unit is missing"),
        (["--stages", "30s"], "'30s' is no stage; write TIME:VALUE or TIME:FROM-TO"),
        (["--stages", "30s:0"], "asks for nothing at all times"),
        (["--think", "2s,x"], "'x' is no sigma"),
        (["--arrivals", "gamma"], "'gamma' are no arrivals; write poisson, constant, or gamma:SHAPE"),
        (["--late-most", "soon"], "'soon' is no duration"),
        (["--scenario", "long_conversaton"], "did you mean long_conversation?"),
        (["--set", "rounds=3"], "has no parameter 'rounds'"),
        (["--users", "replay"], "needs the trace whose arrivals are replayed: --trace FILE"),
        (["--users", "replay", "--trace", "none.csv"], "the trace none.csv cannot be read"),
        (["--users", "replay", "--trace", "bad.jsonl"], "bad.jsonl, line 2: "),
        (["--users", "replay", "--trace", "empty.csv"], "the trace empty.csv "),
        (["--url", "localhost:8000"], "'localhost:8000' is no URL of a service"),
        (["--url", "http://127.0.0.1:9", "--fault", "cut"], "--fault is for a service that looprig starts"),
        (["--worker", "10.0.0.1"], "a worker needs the plan that all machines share"),
        (["--worker", "10.0.0.1", "--plan", "none.json"], "cannot read the plan none.json"),
        (["--master", "h"], "--master HOST and --expect-workers N go together"),
        (["--master", "h", "--expect-workers", "2", "--processes", "2"], "a master makes no load itself"),
        (["--master", "h", "--worker", "h"], "either the master or a worker"),
        (["--knee", "--users", "closed"], "--knee sets the rate of open arrivals itself"),
        (["--locustfile", "none.py"], "there is no locust file none.py"),
    ],
)
def test_usage(words: Sequence[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    What cannot be meant is refused with what would be right, before anything is started.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.jsonl").write_text('{"at_s": 1}\n{"at_s": "x"}\n')
    (tmp_path / "empty.csv").write_text("")
    result = CliRunner().invoke(cli, ["load", *words])

    assert result.exit_code == 2, result.output
    assert said in result.output


def test_locust_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    Without locust nothing is started, and it says what to install.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(cli, ["load"])

    assert result.exit_code == 2
    assert "locust is not installed in this environment; install it with: pip install locust" in result.output


CONFIGURED = """
[tool.looprig]
loop = "app.chat:make_loop"

[tool.looprig.load]
rate = 7
scenario = "long_tool_chain"
set = { rounds = 4 }
thresholds = ["ttft.p95 < 2s", "goodput > 1"]
slos = ["ttft=2s"]
"""


def plan_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, *words: str) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(text)
    result = CliRunner().invoke(cli, ["load", "--write-plan", "--out", "out", *words])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads((tmp_path / "out" / "plan.json").read_text())
    return found


def test_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    What [tool.looprig.load] says stands in for the defaults, and an option goes before it.
    """
    plan = plan_of(tmp_path, monkeypatch, CONFIGURED, "--scenario", "long_tool_chain", "--threshold", "failed < 3")

    assert plan["stages"][0]["start"] == 7
    assert plan["talk"]["parameters"] == {"rounds": "4"}
    assert plan["thresholds"] == ["failed < 3"]
    assert plan["slos"] == {"ttft": 2.0}
    assert plan_of(tmp_path, monkeypatch, CONFIGURED)["thresholds"] == ["ttft.p95 < 2s", "goodput > 1"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("rat = 3", "pyproject.toml:2: tool.looprig.load.rat: there is no such key; did you mean 'rate'?"),
        ("rate = 0", "pyproject.toml:2: tool.looprig.load.rate: takes a number above 0.0, not 0"),
        ("users = 'opn'", "tool.looprig.load.users: 'opn' is no choice; did you mean 'open'?"),
        ("thresholds = ['ttft < 1s']", "pyproject.toml:2: tool.looprig.load.thresholds: 'ttft < 1s', column 6: "),
        ("slos = ['goodput=1']", "tool.looprig.load.slos: 'goodput=1', column 1: "),
        ("stages = 'x'", "tool.looprig.load.stages: 'x' is no stage"),
        ("late_most = '5'", "tool.looprig.load.late_most: '5' is no duration"),
    ],
)
def test_bad_configuration(table: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    What is wrong with the table is said with file, line and key.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(f"[tool.looprig.load]\n{table}\n")
    result = CliRunner().invoke(cli, ["load"])

    assert result.exit_code == 2, result.output
    assert said in result.output


def test_default_thresholds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    Of a loop that is served here the time to the first token is limited by what its model takes; of a service of
    somebody else nobody knows what is slow.
    """

    def thresholds(*words: str) -> list[str]:
        found: list[str] = plan_of(tmp_path, monkeypatch, "", *words)["thresholds"]
        return found

    assert thresholds() == ["ttft.p95 < 300ms", "error_rate < 1%"]
    assert thresholds("--ttft", "1s") == ["ttft.p95 < 1200ms", "error_rate < 1%"]
    assert thresholds("--ttft", "lognormal:200ms,0.5") == ["error_rate < 1%"]
    assert thresholds("--url", "http://127.0.0.1:9") == ["error_rate < 1%"]


def test_help_has_sections():
    """
    The help groups its options, and each stands in a section.
    """
    printed = CliRunner().invoke(cli, ["load", "--help"], terminal_width=100).output

    for title in ("What is under load", "How much load", "What users say", "Verdict", "Who makes it", "Output"):
        assert f"\n{title}:\n" in printed
    assert printed.partition("\nOther:\n")[2].strip().startswith("-h, --help")
