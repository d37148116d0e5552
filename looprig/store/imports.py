"""Results of pytest-benchmark and asv as records, so that a history does not begin with looprig."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from looprig.store import origin
from looprig.store.errors import StoreError
from looprig.store.record import Part, RunRecord, Sample, Scalar, setup_of

TIME = "benchmark_time_s"


def read(path: Path) -> RunRecord:
    """Return what a result file of pytest-benchmark (``--benchmark-json``) or asv (``results/MACHINE/*.json``) holds.

    The benchmark is the scenario, the tool the loop; times are in seconds, and noisy.

    Raises:
        StoreError: where the file cannot be read, or is of neither.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is no JSON: {error}") from error
    try:
        if isinstance(data, dict) and "benchmarks" in data and "machine_info" in data:
            return _pytest_benchmark(data)
        if isinstance(data, dict) and "result_columns" in data:
            return _asv(data)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError, OSError) as error:
        raise StoreError(f"{path} is not laid out as expected: {type(error).__name__}: {error}") from error
    raise StoreError(f"{path} holds results neither of pytest-benchmark nor of asv")


def _pytest_benchmark(data: Mapping[str, Any]) -> RunRecord:
    machine, commit = data["machine_info"], data.get("commit_info") or {}
    cpu = machine.get("cpu") or {}
    revision = commit.get("id") if commit.get("id") != "unversioned" else None
    parts = [
        _part("pytest-benchmark", each["fullname"], _scalars(each.get("params") or {}), *_times(each["stats"]))
        for each in data["benchmarks"]
    ]
    return RunRecord(
        kind="import",
        at=origin.stamp(_moment(data["datetime"])),
        command="pytest-benchmark",
        revision=revision,
        dirty=commit.get("dirty") if revision else None,
        machine=_known(
            python=machine.get("python_version"),
            implementation=machine.get("python_implementation"),
            system=machine.get("system"),
            processor=machine.get("machine"),
            cpu=cpu.get("brand_raw"),
            cores=cpu.get("count"),
        ),
        versions={"pytest-benchmark": str(data["version"])} if "version" in data else {},
        parts=tuple(parts),
    )


def _times(stats: Mapping[str, Any]) -> tuple[float, Sequence[float]]:
    """Return the median and the raw times, which pytest-benchmark leaves out unless it is asked for them."""
    raw = [float(each) for each in stats.get("data") or ()]
    return float(stats["median"]), raw


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _asv(data: Mapping[str, Any]) -> RunRecord:
    machine = data["params"]
    columns = data["result_columns"]
    parts = [
        part
        for name, row in data["results"].items()
        if name.rpartition(".")[2].startswith("time")  # what asv calls a timing; the units of others stand elsewhere
        for part in _asv_parts(name, dict(zip(columns, row, strict=False)))
    ]
    return RunRecord(
        kind="import",
        at=origin.stamp(datetime.fromtimestamp(data["date"] / 1000, UTC)),
        command="asv",
        revision=data["commit_hash"],
        dirty=False,
        machine=_known(
            python=data.get("python") or machine.get("python"),
            implementation="CPython",
            system=machine.get("os"),
            processor=machine.get("arch"),
            cpu=machine.get("cpu"),
            cores=machine.get("num_cpu"),
        ),
        versions={name: str(version) for name, version in (data.get("requirements") or {}).items()},
        parts=tuple(parts),
    )


def _asv_parts(name: str, row: Mapping[str, Any]) -> Iterator[Part]:
    """Yield a part for each combination of parameters that has a time; asv has no result for what failed."""
    combinations = list(itertools.product(*(row.get("params") or [])))
    samples = row.get("samples") or []
    for index, value in enumerate(row.get("result") or ()):
        if not isinstance(value, int | float) or value != value:
            continue
        values = combinations[index] if index < len(combinations) else ()
        params = {f"param{number}": text for number, text in enumerate(values, 1)}
        raw = samples[index] if index < len(samples) and samples[index] else ()
        yield _part("asv", name, _scalars(params), float(value), [float(each) for each in raw])


def _part(tool: str, name: str, params: Mapping[str, Scalar], value: float, raw: Sequence[float]) -> Part:
    sample = Sample(metric=TIME, value=value if not raw else median(raw), unit="s", values=tuple(raw))
    return Part(scenario=name, loop=tool, setup=setup_of(params, ()), params=params, samples=(sample,))


def _scalars(params: Mapping[str, Any]) -> dict[str, Scalar]:
    return {
        str(name): value if isinstance(value, int | float | str | bool) else repr(value)
        for name, value in params.items()
    }


def _known(**facts: Any) -> dict[str, str | int]:
    return {
        name: int(value) if name == "cores" else str(value) for name, value in facts.items() if value not in (None, "")
    }
