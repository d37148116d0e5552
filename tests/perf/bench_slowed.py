"""The loop of `tests.perf.slowed` under pytest-benchmark, as its users would write it; tests.perf.gate runs it.

What is slowed by how much, and what is played, comes from the environment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from looprig.target import find
from looprig.workload import Workload, unpack

LOOP, SCENARIO = "LOOPRIG_GATE_LOOP", "LOOPRIG_GATE_SCENARIO"


def test_play(benchmark: Any):
    """
    One play of the scenario; the first ones make the shadows.
    """
    with Workload(find(os.environ[LOOP]).make(), unpack(Path(os.environ[SCENARIO]).read_bytes())) as workload:
        for _ in range(3):
            workload.play()
        benchmark(workload.play)
