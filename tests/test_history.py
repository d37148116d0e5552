"""`looprig history`, and what `run` and `compare` keep for it."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from looprig.exits import Exit
from looprig.report.history import sparkline
from looprig.store import Part, RunRecord, Sample, open_store
from looprig.verdicts import Verdict


def looprig(*words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, with the store where it is by default."""
    env = {name: value for name, value in os.environ.items() if name != "LOOPRIG_STORE"}
    return subprocess.run(
        [sys.executable, "-m", "looprig", *words],
        cwd=cwd, capture_output=True, text=True, timeout=120, env={**env, **variables},
    )  # fmt: skip


def made(folder: Path, runs: int = 60, at: int = 30) -> Path:
    """Make a store in which tokens and time change at run *at*, with a package; return its path."""
    path = folder / ".looprig" / "history.db"
    rng = random.Random(1)
    with open_store(path) as store:
        for number in range(1, runs + 1):
            later = number >= at
            samples = (
                Sample(metric="tokens_sent", value=110.0 if later else 100.0, unit="tokens", exact=True),
                Sample(
                    metric="overhead_per_message_us", value=(60 if later else 50) * (1 + rng.gauss(0, 0.01)), unit="us"
                ),
                Sample(metric="requests", value=7.0, unit="requests", exact=True),
            )
            store.save(
                RunRecord(
                    kind="run",
                    at=f"2026-03-{1 + number // 3:02}T00:00:{number:02}Z",
                    command="looprig run",
                    revision=f"{number:040x}",
                    dirty=number == at,
                    machine={"python": "3.11.7", "cpu": "A"},
                    versions={"faker": "41.0" if later else "40.1"},
                    parts=(Part(scenario="long_conversation", loop="reference", setup="seed 1", samples=samples),),
                )
            )
    return path


def test_run_is_kept(tmp_path: Path):
    """
    Every run is kept: raw values by seed, versions, machine, git revision and whether files differ from it.
    """
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True).stdout.strip()

    done = looprig("run", "repeated_ids", "--seeds", "3", "--no-traces", "--format", "json", cwd=tmp_path)

    assert "" == done.stderr
    with open_store(tmp_path / ".looprig" / "history.db", make=False) as store:
        kept = store.load(1)
    printed = json.loads(done.stdout)
    (part,) = kept.parts
    assert (head, False, "run", "passed") == (kept.revision, kept.dirty, kept.kind, kept.verdict)
    assert printed["machine"] == kept.machine
    assert {"looprig", "faker"} <= set(kept.versions)
    assert (1, 2, 3) == part.seeds
    assert tuple(run["digest"] for run in printed["runs"]) == part.digests
    for sample in part.samples:
        assert tuple(run["metrics"][sample.metric]["value"] for run in printed["runs"]) == sample.values
    assert "*\n" == (tmp_path / ".looprig" / ".gitignore").read_text()


def test_compare_is_kept(tmp_path: Path):
    """
    A comparison is kept with both sides, their rounds, and its verdicts.
    """
    sides = ("reference,policy=end-of-turn", "reference")
    looprig("compare", *sides, "many_systems", "--rounds", "2", cwd=tmp_path)

    with open_store(tmp_path / ".looprig" / "history.db", make=False) as store:
        kept = store.load(1)
    assert list(zip(("before", "after"), sides, strict=True)) == [(part.side, part.loop) for part in kept.parts]
    assert {2} == {len(sample.values) for part in kept.parts for sample in part.samples}
    assert {Verdict.UNDECIDED} < {found.verdict for found in kept.comparisons}


def test_store_that_cannot_be_written(tmp_path: Path):
    """
    A store that cannot be written is a warning: the verdict on the loop, and standard output, stay as they are.
    """
    (tmp_path / "file").write_text("")
    words = ("run", "repeated_ids", "--no-traces", "--format", "json")
    done = looprig(*words, "--store", "file/history.db", cwd=tmp_path)

    assert Exit.PASSED == done.returncode
    assert json.loads(done.stdout)
    assert done.stderr.startswith("warning: this run was not kept: the store file/history.db cannot be made")
    assert 1 == done.stderr.count("\n")


def test_no_store(tmp_path: Path):
    """
    With --store none, or the variable, nothing is kept; an address that cannot be one is refused before anything runs.
    """
    looprig("run", "repeated_ids", "--no-traces", "--store", "none", cwd=tmp_path)
    looprig("run", "repeated_ids", "--no-traces", cwd=tmp_path, LOOPRIG_STORE="none")
    assert [] == list(tmp_path.iterdir())

    done = looprig("run", "repeated_ids", "--no-traces", "--store", "mysql://u:secret@h/d", cwd=tmp_path)
    assert Exit.USAGE == done.returncode
    assert "" == done.stdout
    assert "secret" not in done.stderr


def test_password_is_not_kept(tmp_path: Path):
    """
    A command is kept without the password of an address in it.
    """
    code = (
        "from looprig.store import origin; print(origin.command(['x', '--store', 'postgresql://me:s3c@h:1/d?a=b@c']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert "x --store 'postgresql://me:***@h:1/d?a=b@c'\n" == done.stdout


def test_history(tmp_path: Path):
    """
    What changed is named with its day, its commits, its size, and the packages that changed with it.
    """
    made(tmp_path)
    done = looprig("history", cwd=tmp_path)

    assert Exit.PASSED == done.returncode
    rows = [line.split() for line in done.stdout.splitlines()]
    tokens = next(row for row in rows if "tokens_sent" in row and "2026-03-11" in row)
    commits = f"{29:040x}"[:9] + ".." + f"{30:040x}"[:9] + "+"
    assert ["2026-03-11", "30", commits, "long_conversation", "tokens_sent", "100", "110", "+10.0", "%"] == tokens[:9]
    assert ["faker", "40.1", "to", "41.0"] == tokens[9:]
    assert any("overhead_per_message_us" in row and row[0].startswith("2026-03-") for row in rows)
    assert done.stdout.endswith("60 runs, 3 series: 2 changed, 1 did not; --all shows these too\n")
    assert "requests" not in done.stdout


def test_history_of_one_metric(tmp_path: Path):
    """
    A scenario's name is enough; a metric that did not change is shown where it is asked for.
    """
    made(tmp_path, runs=12, at=99)
    done = looprig("history", "long_conversation", "--metric", "requests", cwd=tmp_path)

    assert "▄" * 12 in done.stdout
    assert done.stdout.endswith("12 runs, 1 series: 0 changed, 1 did not\n")


def test_history_as_data(tmp_path: Path):
    """
    The data has every point and every change; Markdown has the same tables.
    """
    made(tmp_path)
    data = json.loads(looprig("history", "--format", "json", cwd=tmp_path).stdout)
    page = looprig("history", "--format", "markdown", cwd=tmp_path).stdout

    tokens = next(series for series in data["series"] if series["metric"] == "tokens_sent")
    (change,) = tokens["changes"]
    assert 60 == len(tokens["points"])
    assert (30, 100.0, 110.0, 110.0 / 100.0, None) == tuple(
        change[name] for name in ("run", "before", "after", "ratio", "p")
    )
    assert ["faker 40.1 to 41.0"] == change["also"]
    assert "| since" in page
    assert "tokens" in page


def test_history_runs(tmp_path: Path):
    """
    The runs are listed, newest first, with their commits; as data they are oldest first.
    """
    made(tmp_path, runs=5, at=4)
    table = looprig("history", "runs", "--last", "3", cwd=tmp_path).stdout
    data = json.loads(looprig("history", "runs", "--format", "json", cwd=tmp_path).stdout)

    assert ["5", "4", "3"] == [line.split()[0] for line in table.splitlines()[3:6]]
    assert f"{4:040x}"[:9] + "+" in table
    assert [1, 2, 3, 4, 5] == [run["run"] for run in data]


def test_history_prune(tmp_path: Path):
    """
    Nothing goes without --yes; with it, the oldest runs do.
    """
    path = made(tmp_path, runs=6)
    asked = looprig("history", "prune", "--keep", "2", cwd=tmp_path).stdout
    assert "would remove 4 runs (1 to 4), 2 stay; --yes does it\n" == asked
    assert (
        "removed 4 runs (1 to 4), 2 stay\n" == looprig("history", "prune", "--keep", "2", "--yes", cwd=tmp_path).stdout
    )
    assert "would remove 0 runs, 2 stay\n" == looprig("history", "prune", "--older-than", "90000d", cwd=tmp_path).stdout
    with open_store(path) as store:
        assert [5, 6] == [run.id for run in store.runs()]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["history"],
            Exit.NOTHING_RAN,
            "there is no history yet at .looprig/history.db; `looprig run` keeps every run",
        ),
        (["history", "runs"], Exit.NOTHING_RAN, "there is no history yet"),
        (["history", "--store", "none"], Exit.USAGE, "no store to look at"),
        (["history", "prune"], Exit.USAGE, "say what may go: --keep N, --older-than 90d, or both"),
        (["history", "prune", "--older-than", "soon"], Exit.USAGE, "a number of days or weeks, such as 90d or 12w"),
        (["history", "prune", "--older-than", "999999w"], Exit.USAGE, "there was no calendar"),
        (["history", "salvage"], Exit.USAGE, "there is no store at .looprig/history.db"),
        (["history", "salvage", "--store", "postgresql://h/d"], Exit.USAGE, "only files are salvaged"),
        (["history", "import", "nothing.json"], Exit.USAGE, "nothing.json cannot be read"),
    ],
)
def test_used_wrongly(tmp_path: Path, words: list[str], code: Exit, said: str):
    """
    What is wrong is said in one line, with the right exit code, and nothing is made.
    """
    done = looprig(*words, cwd=tmp_path)

    assert code == done.returncode
    assert said in done.stderr
    assert 1 == done.stderr.count("\n")
    assert [] == list(tmp_path.iterdir())


def test_unknown_scenario(tmp_path: Path):
    """
    A scenario that was never run is nothing that ran.
    """
    made(tmp_path, runs=2)
    done = looprig("history", "never_run", cwd=tmp_path)

    assert Exit.NOTHING_RAN == done.returncode
    assert "no run of that" in done.stderr


def test_damaged_store(tmp_path: Path):
    """
    Damage is said by whoever meets it, a run is not kept but passes, and a salvage puts all right.
    """
    path = made(tmp_path, runs=20)
    with sqlite3.connect(path) as connection:
        connection.execute("update looprig_part set record = replace(record, '100.0', '101.0') where run_id = 7")
        connection.execute("update looprig_run set record = replace(record, '2026', '2025') where id = 9")
    connection.close()

    seen = looprig("history", cwd=tmp_path)
    saved = looprig("history", "salvage", cwd=tmp_path)
    again = looprig("history", "salvage", cwd=tmp_path)

    assert Exit.USAGE == seen.returncode
    assert "is damaged: run 9 is not what was saved; `looprig history salvage` keeps what can be read" in seen.stderr
    assert saved.stdout.startswith("18 runs kept in .looprig/history.db; lost: 7, 9, and what left no trace;")
    assert again.stdout == "nothing is wrong with .looprig/history.db: 18 runs\n"
    assert (tmp_path / ".looprig" / "history.db.damaged-1").exists()


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([1.0], "▅"),
        ([0.0, 0.0], "▅▅"),
        ([1.0, 2.0], "▁█"),
        ([100.0, 101.0], "▄▅"),
        ([1.0] * 30 + [2.0] * 30, "▁" * 12 + "█" * 12),
    ],
)
def test_sparkline(values: list[float], bars: str):
    """
    A line of bars from the smallest to the largest value; noise of a percent is no mountain, and long series fit.
    """
    assert bars == sparkline(values)


def test_tests_keep_nothing():
    """
    The tests of this repository keep no runs, unless a test says where.
    """
    assert "none" == os.environ["LOOPRIG_STORE"]
