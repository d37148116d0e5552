"""The reference loop, with a share of its own work done twice: a slowdown whose size is known.

``tests/perf/slowed.py:make_loop,share=0.05`` costs 5 % more than with ``share=0``, which keeps the same books. A busy
loop would be no such thing: its instructions are cheaper than the loop's. So what is done twice are turns of the same
scenario, on shadows of the loop: as many conversations beside the one that counts, each further on than the one
before, so that their turns find histories of all lengths. What a turn of theirs costs in CPU time is measured
(`cpu_ratio`), and the share of turns is set by that; `net_instructions` is a check on it without noise.
"""

from __future__ import annotations

import copy
import gc
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from looprig.workload import Workload, unpack
from reference_loop import make_loop as reference

SHADOWS = 2

SPEC = "tests/perf/slowed.py:make_loop"

OPTIONS = "max_history_pairs=20"
"""Short histories, so that a short conversation is trimmed, too."""

Step = tuple[Sequence[str], str]
"""System texts that come before a turn, and what is typed."""


class _Shadow:
    """A conversation that begins anew when it is through."""

    def __init__(self, play: _Play) -> None:
        self._play, self._next = play, 0
        self._loop: Any = None
        self._model: Any = None

    async def turn(self) -> None:
        if self._loop is None or self._next == len(self._play.steps):
            self._model = copy.copy(self._play.model)
            self._loop, self._next = reference(self._model, self._play.tools, **self._play.options), 0
        systems, text = self._play.steps[self._next]
        for system in systems:
            self._loop.add_system(system)
        self._model.begin(self._next)
        await self._loop.send(text)
        self._next += 1


class _Play:
    """What the plays of one side share: the steps of the first one, the shadows, and the work that is owed."""

    def __init__(self, model: Any, tools: Any, options: dict[str, Any]) -> None:
        self.model, self.tools, self.options = copy.copy(model), tools, options
        self.steps: list[Step] = []
        self._shadows = [_Shadow(self) for _ in range(SHADOWS)]
        self._owed, self._ready = 0.0, False
        self.turns = self.extra = 0

    async def _prepare(self) -> None:
        """Let the shadows get as far as they should be."""
        for number, shadow in enumerate(self._shadows):
            for _ in range(len(self.steps) * number // SHADOWS):
                await shadow.turn()
        self._ready = True

    async def owe(self, share: float) -> None:
        """Owe a share of a turn, and do what is owed."""
        if not self._ready:
            await self._prepare()
        self.turns += 1
        self._owed += share
        if self._owed >= 1.0:
            self._owed -= 1.0
            await self._shadows[self.extra % SHADOWS].turn()
            self.extra += 1


_PLAYS: dict[float, _Play] = {}


class Slowed:
    """The reference loop and its shadows; the first conversation is listened to, and costs nothing extra."""

    def __init__(self, model: Any, tools: Any, share: float, options: dict[str, Any]) -> None:
        self._loop = reference(model, tools, **options)
        self._share = share
        self._listening = share not in _PLAYS
        self._play = _PLAYS.setdefault(share, _Play(model, tools, options))
        self._systems: list[str] = []

    def add_system(self, text: str) -> None:
        if self._listening:
            self._systems.append(text)
        self._loop.add_system(text)

    async def send(self, text: str) -> Any:
        if self._listening:
            self._play.steps.append((tuple(self._systems), text))
            self._systems.clear()
        answer = await self._loop.send(text)
        if not self._listening:
            await self._play.owe(self._share)
        return answer

    def close(self) -> None:
        self._loop.close()


def make_loop(model: Any, tools: Any, share: float = 0.0, **options: Any) -> Slowed:
    """Return the reference loop, slowed by *share*."""
    return Slowed(model, tools, float(share), options)


def net_instructions(packed: Path, share: float) -> int:
    """Return the instructions of `COUNTED` plays, without start-up and the first plays, which make the shadows."""
    return _instructions(packed, share, COUNTED) - _instructions(packed, share, 0)


COUNTED = 100
"""Plays that are counted: with 2 % of the turns played twice, every shadow goes once through the conversation."""


def _instructions(packed: Path, share: float, plays: int) -> int:
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    told = _told(packed, share, plays, *valgrind).stderr
    (line,) = (line for line in told.splitlines() if re.search(r"I +refs:", line))
    return int(line.split(":")[1].replace(",", ""))


def cpu_ratio(packed: Path, share: float) -> float:
    """Return the ratio of the CPU time that whole plays take with *share* and without, in turn, in a fresh process."""
    return float(_told(packed, share, TIMED).stdout)


TIMED = 300
"""Plays of each side that are timed in a process; the gate's legs and their cold caches have no part in it."""


def _told(packed: Path, share: float, plays: int, *wrapper: str) -> subprocess.CompletedProcess[str]:
    what = "count" if wrapper else "time"
    command = [*wrapper, sys.executable, "-m", "tests.perf.slowed", what, str(packed), str(share), str(plays)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"} if wrapper else None
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def main() -> None:
    """Play a packed scenario so many times more than it takes to warm up, to be counted or timed."""
    what, packed, share, plays = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])

    def workload(share: float) -> Workload:
        return Workload(partial(make_loop, share=share, max_history_pairs=20), unpack(packed.read_bytes()))

    with workload(0.0) as plain, workload(share) as slowed:
        sides = [slowed] if what == "count" else [plain, slowed]
        for _ in range(WARM_UP):
            for side in sides:
                side.play()
        gc.collect()
        gc.freeze()  # else one full collection more or less is what is counted
        spent = [0, 0]
        for number in range(plays):
            # There and back: collections of garbage keep to a rhythm, and would meet one side more than the other.
            for side in reversed(sides) if number % 2 else sides:
                spent[sides.index(side)] += _timed_ns(side)
    print(spent[-1] / max(1, spent[0]))


WARM_UP = 3


def _timed_ns(side: Workload) -> int:
    before = time.process_time_ns()
    side.play()
    return time.process_time_ns() - before


if __name__ == "__main__":
    main()
