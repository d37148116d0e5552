"""Judges a user's benchmarks on two revisions, each in fresh interpreters in turn, by the rule for CPU time.

A benchmark is timed by the same sessions as a loop is; only the worker is another one.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from looprig.home import Home, Job, Party
from looprig.paired import Plan, judge
from looprig.progress import Tell
from looprig.revisions.homes import Pair
from looprig.revisions.strangers import refusal, strangers
from looprig.scenario import Scenario
from looprig.subject import LoopError
from looprig.verdicts import Comparison, Layer, Verdict
from looprig.workload import pack

METRIC = "cpu_time_per_call_us"

WORKER = Path("looprig", "benchmarks", "worker.py")

TAIL_LINES = 4

NOTHING_COLLECTED = 5
"""What pytest ends with where there is no test."""

NO_SCENARIO = pack(Scenario(name="", seed=0, turns=()))
"""A benchmark plays none: what its worker calls a play is a call, and so is the unit of the times."""


class BenchmarkProblem(Exception):
    """Benchmarks that cannot be found or run; the text says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class Bench(Home):
    """A home whose worker runs benchmarks; ``worker`` is its file."""

    worker: Path = WORKER

    def command(self, module: str, *arguments: str) -> Sequence[str]:
        """Return the words that run the benchmark that the last of *arguments* names."""
        return [self.python, "-P", str(self.worker), "measure", *arguments]

    def finding(self, arguments: Sequence[str]) -> Sequence[str]:
        """Return the words that run all benchmarks once."""
        return [self.python, "-P", str(self.worker), "find", *arguments]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark of one side: what pytest calls it, its file, and why it cannot be timed, where it cannot."""

    argument: str
    file: Path
    trouble: str


def bench(home: Home) -> Bench:
    """Return *home* for benchmarks, without the copy of looprig on its path: looprig may be what is benchmarked."""
    own, *path = home.path
    changes = home.changes if path else (*home.changes, ("PYTHONPATH", None))
    return Bench(home.python, home.folder, tuple(path), home.revision, changes, own / WORKER)


def find(home: Bench, name: str, pair: Pair, arguments: Sequence[str]) -> Mapping[str, Benchmark]:
    """Run the benchmarks of one side once, and return them by pytest's names for them.

    Raises:
        BenchmarkProblem: where pytest cannot collect them, or imports from the user's own tree.
    """
    with tempfile.TemporaryFile() as log:
        ended = subprocess.run(
            home.finding(arguments),
            cwd=home.folder,
            env=dict(home.variables(0)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            check=False,
        )
        log.seek(0)
        said = [text for text in log.read().decode(errors="replace").strip().splitlines() if text.strip()]
    if not ended.stdout.endswith(b"\n"):
        raise BenchmarkProblem(f"{name}: pytest could not be run: {' / '.join(said[-TAIL_LINES:])}")
    told = json.loads(ended.stdout)
    foreign = strangers(told["files"], pair.users.resolve(), [pair.base, *map(Path, told["prefixes"])])
    if foreign:
        raise BenchmarkProblem(refusal(name, foreign[0]))
    if not told["benchmarks"] and told["code"] not in (0, NOTHING_COLLECTED):
        raise BenchmarkProblem(f"{name}: {'; '.join(told['trouble']) or ' / '.join(said[-TAIL_LINES:])}")
    return {
        id_: Benchmark(each["argument"], Path(each["file"]), each["trouble"])
        for id_, each in told["benchmarks"].items()
    }


@dataclass(frozen=True, slots=True)
class Both:
    """The benchmarks of both sides by pytest's names for them, the homes, and what the sides are called."""

    homes: tuple[Bench, Bench]
    names: tuple[str, str]
    before: Mapping[str, Benchmark]
    after: Mapping[str, Benchmark]

    def __len__(self) -> int:
        return len(self.jobs())

    def ids(self) -> list[str]:
        """Return the names of all, in the order of pytest."""
        return list({**self.before, **self.after})

    def trouble(self, id_: str) -> str:
        """Say why a benchmark cannot be timed on both sides; empty where it can."""
        for side, name in zip((self.before, self.after), self.names, strict=True):
            if id_ not in side:
                return f"it is not in {name}"
            if side[id_].trouble:
                return f"in {name} it {side[id_].trouble}"
        return ""

    def jobs(self) -> list[Job]:
        """Return what is to be timed."""
        before, after = self.homes
        return [
            Job(
                id_,
                NO_SCENARIO,
                Party(before, self.before[id_].argument),
                Party(after, self.after[id_].argument),
            )
            for id_ in self.ids()
            if not self.trouble(id_)
        ]


def find_both(pair: Pair, arguments: Sequence[str]) -> Both:
    """Run the benchmarks of both sides once; *arguments* are pytest's.

    Raises:
        BenchmarkProblem: where a side's benchmarks cannot be collected, or it imports from the user's own tree.
    """
    homes = bench(pair.before), bench(pair.after)
    before, after = (find(home, name, pair, arguments) for home, name in zip(homes, pair.names, strict=True))
    return Both(homes, pair.names, before, after)


def judge_benchmarks(both: Both, plan: Plan, tell: Tell) -> list[Comparison]:
    """Judge every benchmark. One that is only on one side, or fails, is undecided, and its note says so.

    Raises:
        BenchmarkProblem: where one stops running while it is timed.
    """
    try:
        judged = {found.scenario: found for found in judge(both.jobs(), plan, tell)}
    except LoopError as error:
        raise BenchmarkProblem(str(error)) from error
    return [
        _named(judged[id_], both.before[id_], both.after[id_]) if id_ in judged else _undecided(id_, both.trouble(id_))
        for id_ in both.ids()
    ]


def _undecided(id_: str, note: str) -> Comparison:
    return Comparison(id_, METRIC, None, None, Verdict.UNDECIDED, Layer.CPU_TIME, "us", note=note)


def _named(found: Comparison, before: Benchmark, after: Benchmark) -> Comparison:
    """Return what was judged, under a benchmark's metric, and with a word where the benchmark itself may differ."""
    changed = before.file.read_bytes() != after.file.read_bytes()
    note = (
        f"the file of the benchmark has changed, so perhaps what it measures; {found.note}" if changed else found.note
    )
    return replace(found, metric=METRIC, note=note)
