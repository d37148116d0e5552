"""Results of other tools as runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from looprig.store import StoreError, imports, open_store

BENCHMARK = """
import pytest

@pytest.mark.parametrize("n", [10, 100])
def test_sum(benchmark, n):
    benchmark.pedantic(sum, (range(n),), rounds=5)
"""

ASV: dict[str, object] = {
    "commit_hash": "a" * 40,
    "env_name": "virtualenv-py3.11",
    "date": 1700000000000,
    "params": {"arch": "x86_64", "cpu": "EPYC", "machine": "m", "num_cpu": "2", "os": "Linux", "python": "3.11"},
    "python": "3.11",
    "requirements": {"six": ""},
    "result_columns": ["result", "params", "version", "started_at", "duration", "stats_ci_99_a", "samples"],
    "results": {
        "bench.time_plain": [[0.5], [], "v"],
        "bench.Suite.time_sized": [[1.0, None, 3.0], [["1", "2", "3"]], "v", 1, 1, None, [[0.9, 1.0, 1.1], None, None]],
        "bench.track_size": [[7], [], "v"],
    },
    "version": 2,
}


def test_pytest_benchmark(tmp_path: Path):
    """
    A file that pytest-benchmark wrote here is a run: its raw times, its machine, its time.
    """
    (tmp_path / "test_it.py").write_text(BENCHMARK)
    plugins = ("locust", "faker", "looptime_plugin", "looptime_chronometers", "looptime_timeproxies")
    words = ["-q", "--benchmark-json=out.json", *(word for name in plugins for word in ("-p", f"no:{name}"))]
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=tmp_path, capture_output=True, text=True)
    assert 0 == done.returncode, done.stdout

    read = imports.read(tmp_path / "out.json")
    with open_store(tmp_path / "history.db") as store:
        assert None is store.has(read)
        assert 1 == store.save(read)
        assert 1 == store.has(read)
        assert ["n=10", "n=100"] == [part.setup for part in store.load(1).parts]

    data = json.loads((tmp_path / "out.json").read_text())
    assert [each["stats"]["median"] for each in data["benchmarks"]] == [part.samples[0].value for part in read.parts]
    assert {"python", "implementation", "system", "cpu", "cores"} <= set(read.machine)


def test_asv(tmp_path: Path):
    """
    Of asv's results the timings are taken, a part for each combination of parameters that has one.
    """
    (tmp_path / "asv.json").write_text(json.dumps(ASV))

    read = imports.read(tmp_path / "asv.json")

    assert ("2023-11-14T22:13:20Z", "a" * 40, False) == (read.at, read.revision, read.dirty)
    assert [
        ("bench.time_plain", "", 0.5),
        ("bench.Suite.time_sized", "param1=1", 1.0),
        ("bench.Suite.time_sized", "param1=3", 3.0),
    ] == [(part.scenario, part.setup, part.samples[0].value) for part in read.parts]
    assert (0.9, 1.0, 1.1) == read.parts[1].samples[0].values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "neither of pytest-benchmark nor of asv"),
        ('{"benchmarks": 1, "machine_info": 2}', "is not laid out as expected"),
        ('{"benchmarks": [], "machine_info": {}, "datetime": "yesterday"}', "is not laid out as expected"),
        (
            '{"result_columns": [], "params": {}, "results": {}, "date": 1e300, "commit_hash": ""}',
            "laid out as expected",
        ),
    ],
)
def test_odd_files(tmp_path: Path, text: str | None, said: str):
    """
    A file that is nothing of that is refused in one line that names it.
    """
    path = tmp_path / "odd.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(StoreError, match=said) as caught:
        imports.read(path)
    assert str(path) in str(caught.value)
