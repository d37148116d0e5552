"""Neighbours on a shared machine: none, one that is always busy, two that are busy now and then.

``python -m tests.perf.neighbours CORE`` is busy for ever; with ``bursts`` behind it, on and off.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator

CONDITIONS = ("no load added", "one busy neighbour", "bursts")

BURST_S = (0.05, 0.8)
"""A burst lasts between so many seconds, and so does a pause."""


@contextlib.contextmanager
def neighbours(condition: str) -> Iterator[None]:
    """Have neighbours for as long as the block lasts."""
    cores = sorted(os.sched_getaffinity(0))
    words = {
        "no load added": [],
        "one busy neighbour": [[str(cores[-1])]],
        "bursts": [[str(core), "bursts"] for core in cores[:2]],
    }[condition]
    started = [subprocess.Popen([sys.executable, "-m", "tests.perf.neighbours", *each]) for each in words]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def main() -> None:
    """Be a neighbour."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    bursts = "bursts" in sys.argv[2:]
    while True:
        end = time.monotonic() + random.uniform(*BURST_S)
        while time.monotonic() < end:
            sum(range(1000))
        if bursts:
            time.sleep(random.uniform(*BURST_S))


if __name__ == "__main__":
    main()
