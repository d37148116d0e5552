"""Stored runs of pytest-benchmark: read or refused, judged or left undecided, and why."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given
from hypothesis import strategies as st

from looprig.benchmarks.saved import Run, SavedProblem, read, runs
from looprig.benchmarks.unpaired import interval, judge_saved
from looprig.cli import cli
from looprig.verdicts import Comparison, Verdict

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

MACHINE = {"node": "desk", "python_version": "3.11.7", "cpu": {"brand_raw": "a", "hz_actual": [1, 0]}}


def stored(folder: Path, name: str, seconds: float = 1e-5, minute: float = 0, **machine: object) -> str:
    """Write a run as pytest-benchmark does, and return its path."""
    path = folder / f"{name}.json"
    path.write_text(
        json.dumps(
            {
                "machine_info": {**MACHINE, **machine},
                "benchmarks": [{"fullname": "t.py::test_a", "name": "test_a", "stats": {"min": seconds, "mean": 9.0}}],
                "datetime": (NOON + timedelta(minutes=minute)).isoformat(),
                "version": "5.3.1",
            }
        )
    )
    return str(path)


def drawn(random: Random, count: int, slower: float = 0.0, start: int = 0, step: int = 2) -> list[Run]:
    """Draw runs with a noise of 1 %, every second minute."""
    return [
        Run(
            str(minute),
            {"a": 1e-5 * (1 + slower) * random.lognormvariate(0, 0.01)},
            {},
            NOON + timedelta(minutes=minute),
        )
        for minute in range(start, start + step * count, step)
    ]


def one(before: list[Run], after: list[Run]) -> Comparison:
    """Return the comparison of the one benchmark that there is."""
    (found,) = judge_saved(before, after)
    return found


def compared(*words: str) -> Result:
    """Return what ``looprig compare`` says of stored runs."""
    return CliRunner().invoke(cli, ["compare", *words])


def test_planted_slowdown():
    """
    Twelve runs a side in turn find 10 %, and say that it is better the other way round.
    """
    random = Random(1)
    before, after = drawn(random, 12), drawn(random, 12, 0.10, start=1)

    found = one(before, after)
    assert Verdict.REGRESSED is found.verdict
    assert found.interval is not None
    assert found.interval[0] < 1.10 < found.interval[1]
    assert Verdict.IMPROVED is one(after, before).verdict
    assert Verdict.UNCHANGED is one(before, drawn(random, 12, start=1)).verdict


def test_error_rate():
    """
    Of 2,000 comparisons of equal code no more are alarms than the rate that is promised allows, and a change at the
    margin is not called one more often than that.
    """
    random = Random(2)
    equal = [one(drawn(random, 6), drawn(random, 6, start=1)).verdict for _ in range(1000)]
    edge = [one(drawn(random, 6), drawn(random, 6, 0.02, start=1)).verdict for _ in range(1000)]

    assert 0 == equal.count(Verdict.REGRESSED) + equal.count(Verdict.IMPROVED)
    assert edge.count(Verdict.REGRESSED) <= 20  # 10 are promised; 20 or more come once in 300 times


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20), st.lists(st.floats(-1, 1), min_size=2, max_size=20))
@example([0.0, 0.0], [0.0, 6.63923677659164e-146])
def test_interval_turns_round(before: list[float], after: list[float]):
    """
    With the sides swapped the interval is the same, the other way round; it holds the difference of what it averages.
    """
    low, high = interval(before, after, 0.01)
    back_low, back_high = interval(after, before, 0.01)

    assert low <= high
    assert (low, high) == pytest.approx((-back_high, -back_low), abs=1e-9)


def test_welch():
    """
    The interval is Welch's: an example worked by hand.

    Means 2 and 7, squared standard errors 1/3 and 4/3, so (5/3)² / ((1/3)²/2 + (4/3)²/2) = 2.94 degrees of freedom,
    down to 2, whose quantile at 95 % is 2.91999.
    """
    low, high = interval([1.0, 2.0, 3.0], [5.0, 7.0, 9.0], 0.05)

    assert (5 - 2.91999 * (5 / 3) ** 0.5, 5 + 2.91999 * (5 / 3) ** 0.5) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ([0], [1], "1 and 1 stored runs: how much they differ without any change is unknown"),
        (range(5), range(5, 10), "the runs were not made in turn"),
        (range(0, 8, 2), range(1, 9, 2), "4 and 4 stored runs"),
    ],
)
def test_no_evidence(before: list[int], after: list[int], why: str):
    """
    Twice the time stays undecided where runs are few or were not made in turn; the ratio is shown, and the way out.
    """
    sides = [
        [Run("", {"a": seconds}, {}, NOON + timedelta(minutes=minute)) for minute in minutes]
        for minutes, seconds in ((before, 1e-5), (after, 2e-5))
    ]

    found = one(*sides)

    assert (Verdict.UNDECIDED, None) == (found.verdict, found.interval)
    assert 2.0 == pytest.approx(found.ratio)
    assert why in found.note
    assert "looprig compare --benchmarks" in found.note


def test_unlike_machines(tmp_path: Path):
    """
    Runs of two machines or Pythons are never compared; a processor's clock rate of the moment is no other machine.
    """
    before = [stored(tmp_path, f"a{minute}", minute=minute) for minute in range(0, 12, 2)]
    after = [
        stored(tmp_path, f"b{minute}", minute=minute, cpu={"brand_raw": "a", "hz_actual": [minute, 0]})
        for minute in range(1, 12, 2)
    ]
    other = [stored(tmp_path, f"c{minute}", minute=minute, python_version="3.12.1") for minute in range(1, 12, 2)]

    assert Verdict.UNCHANGED is one(list(map(read, before)), list(map(read, after))).verdict
    assert "unlike machines" in one(list(map(read, before)), list(map(read, other))).note


def test_benchmark_of_one_side():
    """
    A benchmark that only one side has is there, and undecided.
    """
    before = [Run("", {"a": 1e-5}, {}, NOON)]
    found = judge_saved(before, [Run("", {"b": 1e-5}, {}, NOON)])

    assert [("a", "AFTER has no run of it"), ("b", "BEFORE has no run of it")] == [
        (each.scenario, each.note) for each in found
    ]


def test_files_and_patterns(tmp_path: Path):
    """
    A side is files and patterns, parted by commas; each file counts once, in the order of time.
    """
    late, early = stored(tmp_path, "x1", minute=5), stored(tmp_path, "x2", minute=1)

    assert [early, late] == [run.file for run in runs(f"{tmp_path}/x*.json,{late}")]
    with pytest.raises(SavedProblem, match="no file is called like"):
        runs(f"{tmp_path}/y*.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"benchmarks": []}',
        '{"machine_info": {}, "benchmarks": [{"fullname": "a", "stats": {}}], "datetime": "2026-01-01"}',
        '{"machine_info": {}, "benchmarks": [], "datetime": "noon"}',
        '{"machine_info": {}, "benchmarks": [{"fullname": "a", "stats": {"min": 0}}], "datetime": "2026-01-01"}',
        '{"machine_info": {}, "benchmarks": [{"fullname": "a", "stats": {"min": "1"}}], "datetime": "2026-01-01"}',
        "[" * 100_000,
        "\x00\xff",
    ],
)
def test_damaged_file(tmp_path: Path, text: str):
    """
    What is no stored run is refused with its name, exit 2.
    """
    (tmp_path / "bad.json").write_text(text, encoding="latin-1")
    good = stored(tmp_path, "good")

    done = compared(str(tmp_path / "bad.json"), good)

    assert 2 == done.exit_code, done.output
    assert "bad.json" in done.output


@given(st.data())
def test_damage_anywhere(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    """
    A file that is cut or changed anywhere is read, or refused with a sentence; nothing else.
    """
    folder = tmp_path_factory.mktemp("damaged")
    path = Path(stored(folder, "run"))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=3)) + whole[at + data.draw(st.integers(0, 5)) :])
    with contextlib.suppress(SavedProblem):
        assert 1 == len(read(str(path)).seconds) or b"[]" in path.read_bytes()


def test_command(tmp_path: Path):
    """
    ``looprig compare`` takes stored runs for its sides: 3 for a regression, 4 for undecided where that is asked for.
    """
    before = [stored(tmp_path, f"a{minute}", 1e-5 + minute * 1e-9, minute=minute) for minute in range(0, 20, 2)]
    after = [stored(tmp_path, f"b{minute}", 2e-5 + minute * 1e-9, minute=minute) for minute in range(1, 20, 2)]
    sides = ",".join(before), f"{tmp_path}/b*.json"

    done = compared(*sides)
    assert 3 == done.exit_code
    assert "FAILED  1 benchmark: 0 improved, 0 unchanged, 0 undecided, 1 regressed" in done.output
    assert "regressed" == json.loads(compared(*sides, "--format", "json").output)["comparisons"][0]["verdict"]
    assert compared(*sides, "--format", "markdown").output.startswith("## FAILED")

    assert 0 == compared(before[0], after[0]).exit_code
    assert "UNDECIDED  1 benchmark" in compared(before[0], after[0]).output
    assert 4 == compared(before[0], after[0], "--strict").exit_code
    assert 2 == compared(before[0], str(tmp_path / "none.json")).exit_code
    assert 2 == compared(before[0], after[0], "--rev", "HEAD").exit_code


def test_run_of_today(tmp_path: Path):
    """
    What the installed pytest-benchmark writes is read.
    """
    (tmp_path / "test_x.py").write_text("def test_x(benchmark):\n    benchmark(sum, range(100))\n")
    plugins = [
        word
        for name in ("looptime_plugin", "looptime_chronometers", "looptime_timeproxies", "locust", "faker")
        for word in ("-p", f"no:{name}")
    ]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "--benchmark-max-time=0.01", "--benchmark-json=run.json"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip

    run = read(str(tmp_path / "run.json"))

    assert ["test_x.py::test_x"] == list(run.seconds)
    assert 1e-8 < run.seconds["test_x.py::test_x"] < 1.0
    assert abs(datetime.now(tz=UTC) - run.at) < timedelta(hours=1)
