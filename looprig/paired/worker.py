"""A fresh interpreter that plays a scenario and says how much CPU time that took; `looprig.paired.crew` starts it.

    python -m looprig.paired.worker SCENARIO CORE SPEC...

plays the packed SCENARIO against the loop of each SPEC on CORE (``-``: wherever the system likes), and answers each
line that it reads by one line of JSON: ``calibrate SIDE NS``, ``cut TURNS``, ``go SIDE...``, ``settle``, ``quit``. Each
session pays for the imports here, so there are few.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from looprig.clock import RealClock, VirtualClock
from looprig.scenario import Scenario
from looprig.target import find
from looprig.workload import Workload, unpack

TICKS = 200
"""What is timed lasts at least so many ticks of the clock that times it, which is coarse on some systems."""

TRIES = 2
"""How often a number of plays is tried while the right one is looked for; the faster one counts."""


def main(arguments: Sequence[str]) -> None:
    """Answer on what was standard output; what the loop prints goes to standard error."""
    packed, core, *specs = arguments
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(answer: Mapping[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    with answers, contextlib.ExitStack() as stack:
        try:
            if core != "-":
                os.sched_setaffinity(0, {int(core)})
            scenario = unpack(Path(packed).read_bytes())
            workloads = [stack.enter_context(workload) for workload in _workloads(scenario, specs)]
            for answer in _answers([Side(workload) for workload in workloads], len(scenario.turns)):
                say(answer)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            say({"error": _told(error)})


def _told(error: BaseException) -> str:
    named = any(kind.__module__.startswith("looprig.") for kind in type(error).__mro__)
    return str(error) if named else f"{type(error).__name__}: {error}"


def _workloads(scenario: Scenario, specs: Sequence[str]) -> Sequence[Workload]:
    """Return a workload for each side; they share one clock, since a process has one policy for event loops."""
    targets = [find(spec) for spec in specs]
    clock = RealClock() if any(target.clock == "real" for target in targets) else VirtualClock()
    return [Workload(target.make(), scenario, clock) for target in targets]


def _answers(sides: Sequence[Side], turns: int) -> Iterator[Mapping[str, Any]]:
    yield {"ready": len(sides)}
    for line in sys.stdin:
        match line.split():
            case ["calibrate", side, wanted_ns]:
                plays, cpu_ns = _calibrated(sides[int(side)], int(wanted_ns))
                yield {"plays": plays, "cpu_ns": cpu_ns, "turns": turns}
            case ["cut", every]:
                ends = range(int(every), turns, int(every))
                for each in sides:
                    each.cut(ends)
                yield {"legs": len(ends) + 1}
            case ["go", *order]:
                yield {"times": [sides[int(side)].go() for side in order]}
            case ["settle"]:
                # What is there now stays: no collection has to pass over it again.
                gc.collect()
                gc.freeze()
                yield {"settled": gc.get_freeze_count()}
            case _:
                break
    yield {"cpu_ns": time.process_time_ns(), "failed": [side.failed() for side in sides]}


def _calibrated(side: Side, wanted_ns: int) -> tuple[int, int]:
    """Return how many plays last about *wanted_ns* of CPU time, by doubling, and how long they last."""
    wanted_ns = max(wanted_ns, int(TICKS * time.get_clock_info("process_time").resolution * 1e9))
    plays = 1
    while True:
        took_ns = min(sum(side.go()[0] for _ in range(plays)) for _ in range(TRIES))
        if 2 * took_ns >= wanted_ns:
            more = max(1, round(wanted_ns / took_ns))
            return plays * more, took_ns * more
        plays *= 2


class Side:
    """One side's plays, a leg at a time: a thread that waits while others have their turn.

    A play is cut into legs at the same turns on every side. Only threads can halt in the middle of a play, whatever
    the loop does there; one runs at a time, so that the CPU time of the process is that of the leg.
    """

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._stops: dict[int, Callable[[], None]] = {}
        self._may_go, self._has_gone = threading.Semaphore(0), threading.Semaphore(0)
        self._times = (0, 0)
        self._error: BaseException | None = None
        self._left = self._plays = 0
        self._wall_ns = self._cpu_ns = 0
        threading.Thread(target=self._run, daemon=True).start()

    def cut(self, turns: Sequence[int]) -> None:
        """End a leg before each of these turns, from the next play on."""
        self._stops.update(dict.fromkeys(turns, self._halt))

    def go(self) -> tuple[int, int]:
        """Play one leg; return its CPU time and wall time in nanoseconds."""
        self._may_go.release()
        self._has_gone.acquire()
        if self._error is not None:
            raise self._error
        return self._times

    def failed(self) -> tuple[float, str]:
        """Return how many turns of a play ended in an exception, and what the first one was."""
        first = self._workload.first_failure
        return self._workload.failed / max(1, self._plays), "" if first is None else _told(first)

    def _run(self) -> None:
        self._may_go.acquire()
        try:
            while True:
                self._left = len(self._stops)
                gc.collect()
                self._begin()
                self._workload.play(self._stops)
                self._plays += 1
                self._end()
                for _ in range(self._left):  # a play that was stopped early: the other side's legs go on
                    self._times = (0, 0)
                    self._wait()
        except BaseException as error:
            self._error = error
            self._has_gone.release()

    def _halt(self) -> None:
        self._left -= 1
        self._end()
        self._begin()

    def _begin(self) -> None:
        self._wall_ns, self._cpu_ns = time.perf_counter_ns(), time.process_time_ns()

    def _end(self) -> None:
        # Young garbage is collected at the expense of the leg that made it; the collector stays on besides, since a
        # loop that makes more garbage has to pay for it.
        gc.collect(0)
        cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
        self._times = cpu_ns - self._cpu_ns, wall_ns - self._wall_ns
        self._wait()

    def _wait(self) -> None:
        self._has_gone.release()
        self._may_go.acquire()


if __name__ == "__main__":
    main(sys.argv[1:])
