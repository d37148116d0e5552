"""A fresh interpreter that plays a scenario and says how much CPU time that took; `looprig.paired.crew` starts it.

    python -m looprig.paired.worker SCENARIO CORE SPEC...

plays the packed SCENARIO against the loop of each SPEC on CORE (``-``: wherever the system likes), and answers each
line that it reads by one line of JSON: ``calibrate SIDE NS``, ``batch SIDE PLAYS``, ``settle``, ``quit``. Each session
pays for the imports here, so there are few.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from looprig.clock import RealClock, VirtualClock
from looprig.scenario import Scenario
from looprig.target import find
from looprig.workload import Workload, unpack

TICKS = 200
"""A batch lasts at least so many ticks of the clock that times it, which is coarse on some systems."""

TRIES = 2
"""How often a number of plays is tried while the right one is looked for; the faster one counts."""


def main(arguments: Sequence[str]) -> None:
    """Answer on what was standard output; what the loop prints goes to standard error."""
    packed, core, *specs = arguments
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with answers:
        try:
            if core != "-":
                os.sched_setaffinity(0, {int(core)})
            with contextlib.ExitStack() as stack:
                sides = [stack.enter_context(side) for side in _sides(unpack(Path(packed).read_bytes()), specs)]
                for answer in _answers(sides):
                    print(json.dumps(answer), file=answers, flush=True)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            print(json.dumps({"error": _told(error)}), file=answers, flush=True)


def _told(error: BaseException) -> str:
    named = any(kind.__module__.startswith("looprig.") for kind in type(error).__mro__)
    return str(error) if named else f"{type(error).__name__}: {error}"


def _sides(scenario: Scenario, specs: Sequence[str]) -> Sequence[Workload]:
    """Return a workload for each side; they share one clock, since a process has one policy for event loops."""
    targets = [find(spec) for spec in specs]
    clock = RealClock() if any(target.clock == "real" for target in targets) else VirtualClock()
    return [Workload(target.make(), scenario, clock) for target in targets]


def _answers(sides: Sequence[Workload]) -> Iterator[Mapping[str, Any]]:
    yield {"ready": len(sides)}
    for line in sys.stdin:
        match line.split():
            case ["calibrate", side, wanted_ns]:
                plays, cpu_ns = _calibrated(sides[int(side)], int(wanted_ns))
                yield {"plays": plays, "cpu_ns": cpu_ns}
            case ["batch", side, plays]:
                cpu_ns, wall_ns = _batch(sides[int(side)], int(plays))
                yield {"cpu_ns": cpu_ns, "wall_ns": wall_ns}
            case ["settle"]:
                # What is there now stays: a collection need not pass over it again, before a batch or in it.
                gc.collect()
                gc.freeze()
                yield {"settled": gc.get_freeze_count()}
            case _:
                break
    yield {"cpu_ns": time.process_time_ns()}


def _calibrated(workload: Workload, wanted_ns: int) -> tuple[int, int]:
    """Return how many plays last about *wanted_ns* of CPU time, by doubling, and how long they last."""
    wanted_ns = max(wanted_ns, int(TICKS * time.get_clock_info("process_time").resolution * 1e9))
    plays = 1
    while True:
        took_ns = min(_batch(workload, plays)[0] for _ in range(TRIES))
        if 2 * took_ns >= wanted_ns:
            more = max(1, round(wanted_ns / took_ns))
            return plays * more, took_ns * more
        plays *= 2


def _batch(workload: Workload, plays: int) -> tuple[int, int]:
    """Return the CPU time and the wall time of so many plays, in nanoseconds.

    Garbage of the batches before is collected first; the collector stays on, since a loop that makes more garbage
    has to pay for it.
    """
    gc.collect()
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(plays):
        workload.play()
    return time.process_time_ns() - cpu, time.perf_counter_ns() - wall


if __name__ == "__main__":
    main(sys.argv[1:])
