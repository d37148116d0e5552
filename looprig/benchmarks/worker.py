"""A fresh interpreter that runs a user's benchmarks under pytest, with pytest-benchmark's own `benchmark` fixture.

    python worker.py find ARGUMENT...               runs each benchmark once, and tells which there are
    python worker.py measure - CORE ID              runs one, and times it as `looprig.paired.worker` times a loop

The arguments are pytest's. This file imports nothing of looprig and is run by its path: whoever benchmarks looprig
itself has to get the looprig of the revision, and the user's pytest may have no looprig at all.

A benchmark is what a test hands to the fixture, `benchmark(f, *args)` or `benchmark.pedantic(f, ...)`. Its numbers of
rounds and iterations are not heeded, since batches are as long as a session needs them. Beside that the fixture is as
with ``--benchmark-disable``: it has no statistics.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import IO, Any

import pytest

TICKS = 200
"""A batch lasts at least so many ticks of the clock that times it, which is coarse on some systems."""

BATCHES = 10
"""So many batches of a side are a block, and the sides take turns after each; what takes long is a batch by itself."""

TRIES = 2
"""How often a number of calls is tried while the right one is looked for; the faster one counts."""

OFF = (("xdist", "-n0"), ("pytest_cov", "--no-cov"), ("pytest_timeout", "--timeout=0"))
"""Plugins that would run the benchmark elsewhere, trace it, or stop it; and how they are told not to."""

NONE_FAILED = (0.0, "")
"""How many calls of a batch failed, and how: a call that raises ends its test, so that none is timed."""

Batch = Callable[[int], tuple[int, int]]
"""Calls so often, and returns the CPU time and the wall time of that, in nanoseconds."""


def calls(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Batch:
    """Return batches of calls with the same arguments."""

    def batch(count: int) -> tuple[int, int]:
        gc.collect()  # of the batches before; the collector stays on, since who makes garbage has to pay for it
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        for _ in repeat(None, count):
            function(*args, **kwargs)
        gc.collect(0)
        return time.process_time_ns() - cpu, time.perf_counter_ns() - wall

    return batch


def calls_between(function: Callable[..., Any], setup: Callable[[], Any], teardown: Callable[..., Any]) -> Batch:
    """Return batches of calls of which each has its arguments made before it and is cleaned up after it, untimed."""

    def batch(count: int) -> tuple[int, int]:
        gc.collect()
        cpu_ns = wall_ns = 0
        for _ in repeat(None, count):
            args, kwargs = setup()
            wall, cpu = time.perf_counter_ns(), time.process_time_ns()
            function(*args, **kwargs)
            cpu_ns += time.process_time_ns() - cpu
            wall_ns += time.perf_counter_ns() - wall
            teardown(*args, **kwargs)
        return cpu_ns, wall_ns

    return batch


def calibrated(batch: Batch, wanted_ns: float) -> tuple[int, int]:
    """Return how many calls last about *wanted_ns* of CPU time, by doubling, and how long they last."""
    wanted_ns = max(wanted_ns, TICKS * time.get_clock_info("process_time").resolution * 1e9)
    count = 1
    while True:
        took_ns = max(1, min(batch(count)[0] for _ in range(TRIES)))
        if 2 * took_ns >= wanted_ns:
            more = max(1, round(wanted_ns / took_ns))
            return count * more, took_ns * more
        count *= 2


class Line:
    """The line to whoever started this process: one question or answer a line; what tests print goes elsewhere."""

    def __init__(self) -> None:
        self.questions: IO[str] = os.fdopen(os.dup(0), "r", encoding="utf-8")
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)

    def say(self, **answer: Any) -> None:
        """Send an answer."""
        print(json.dumps(answer), file=self._answers, flush=True)


class Fixture:
    """The part of pytest-benchmark's fixture that looprig takes over: what is done with the function."""

    def __init__(self, measure: Callable[[Batch], None]) -> None:
        self._measure = measure

    def take_over(self) -> None:
        """Let every `benchmark` fixture of this process measure first, and then do what it does when it is disabled."""
        from pytest_benchmark.fixture import BenchmarkFixture

        taken: Any = BenchmarkFixture
        call, pedantic = taken.__call__, taken.pedantic

        def measured_call(fixture: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            self._measure(calls(function, args, kwargs))
            return call(fixture, function, *args, **kwargs)

        def measured_pedantic(fixture: Any, target: Callable[..., Any], *args: Any, **options: Any) -> Any:
            self._measure(_pedantic(target, *args, **options))
            return pedantic(fixture, target, *args, **options)

        taken.__call__, taken.pedantic = measured_call, measured_pedantic

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: Any) -> None:
        """Disable the fixture, so that it calls the function once and keeps no time."""
        item.funcargs["benchmark"].disabled = True


def _pedantic(
    target: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    setup: Callable[[], Any] | None = None,
    teardown: Callable[..., Any] | None = None,
    **_numbers: int,
) -> Batch:
    if setup is None and teardown is None:
        return calls(target, args, kwargs or {})

    def made() -> Any:
        return (setup() if setup is not None else None) or (args, kwargs or {})

    return calls_between(target, made, teardown or (lambda *_args, **_kwargs: None))


class Chosen:
    """Leaves the tests that are benchmarks, and notes what went wrong with each."""

    def __init__(self) -> None:
        self.benchmarks: dict[str, dict[str, Any]] = {}
        self.trouble: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        chosen = [item for item in items if "benchmark" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen
        for item in chosen:
            rest = item.nodeid.partition("::")[2]
            argument = f"{os.path.relpath(item.path)}::{rest}"
            self.benchmarks[item.nodeid] = {"argument": argument, "file": str(item.path), "trouble": ""}

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.trouble.append(f"{report.nodeid}: {_last_line(report)}")

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note why a benchmark failed or was skipped, whenever that was."""
        if not report.passed and report.nodeid in self.benchmarks:
            why = "is skipped" if report.skipped else "fails"
            self.benchmarks[report.nodeid]["trouble"] = f"{why}: {_last_line(report)}"
            self.trouble.append(f"{report.nodeid} {why}: {_last_line(report)}")


def _last_line(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message).strip().splitlines()[0]
    if isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        return str(report.longrepr[-1])
    lines = str(report.longrepr).strip().splitlines()
    return lines[-1].removeprefix("E ").strip() if lines else report.outcome


def _quiet() -> Iterator[str]:
    for package, option in OFF:
        if importlib.util.find_spec(package) is not None:
            yield option


def find(line: Line, arguments: Sequence[str]) -> None:
    """Run each benchmark once, and tell which there are, what went wrong, and what was imported."""
    chosen = Chosen()
    fixture = Fixture(lambda _batch: None)
    fixture.take_over()
    code = pytest.main([*arguments, "-q", *_quiet()], plugins=[chosen, fixture])
    files = [
        file for module in list(sys.modules.values()) if isinstance(file := getattr(module, "__file__", None), str)
    ]
    line.say(
        benchmarks=chosen.benchmarks, trouble=chosen.trouble, code=int(code), files=files,
        prefixes=[sys.prefix, sys.base_prefix],
    )  # fmt: skip


def measure(line: Line, core: str, argument: str) -> None:
    """Run one benchmark, and time it for as long as there are questions."""
    if core != "-":
        os.sched_setaffinity(0, {int(core)})
    served = ended = False

    def serve(batch: Batch) -> None:
        nonlocal served, ended
        if not served:  # a woven benchmark calls again and again
            served = True
            batch(1)
            for answer in _answers(line.questions, batch):
                line.say(**answer)
            ended = True

    chosen = Chosen()
    fixture = Fixture(serve)
    fixture.take_over()
    code = pytest.main([argument, "-q", *_quiet()], plugins=[chosen, fixture])
    if not ended:
        line.say(error="; ".join(chosen.trouble) or f"the benchmark did not run; pytest ended with {int(code)}")


def _answers(questions: IO[str], batch: Batch) -> Iterator[dict[str, Any]]:
    """Yield an answer to each question, in the language of `looprig.paired.worker`.

    Its play and its leg are here a batch, and its turns are calls. Whoever asks keeps the numbers, so that all sides
    and sessions have the same. Times are those of one call.
    """
    yield {"ready": 1}
    count = 1
    for question in questions:
        match question.split():
            case ["calibrate", _, wanted_ns]:
                count, took_ns = calibrated(batch, int(wanted_ns) / BATCHES)
                plays = max(1, round(int(wanted_ns) / took_ns))
                yield {"plays": plays, "cpu_ns": plays * took_ns, "turns": count}
            case ["cut", calls]:
                count = int(calls)
                yield {"legs": 1}
            case ["go", *order]:
                times = [batch(count) for _ in order]
                yield {"times": [(cpu_ns / count, wall_ns / count) for cpu_ns, wall_ns in times]}
            case ["settle"]:
                gc.collect()
                gc.freeze()  # what is there now stays: no collection has to pass over it again
                yield {"settled": gc.get_freeze_count()}
            case _:
                break
    yield {"cpu_ns": time.process_time_ns(), "failed": [NONE_FAILED]}


def main(what: str, *arguments: str) -> None:
    """Do what the first argument says."""
    line = Line()
    if what == "find":
        find(line, arguments)
    else:
        _scenario, core, argument = arguments
        measure(line, core, argument)


if __name__ == "__main__":
    main(*sys.argv[1:])
