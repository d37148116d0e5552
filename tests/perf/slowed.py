"""The reference loop, with a share of its own work done again: a slowdown whose size is known.

``tests/perf/slowed.py:make_loop,share=0.5`` does half of its memory management once more, in a history beside
the one that counts: the message joins it, it is trimmed when that is due, and where the model would be asked it makes
the request. With ``share=0`` the same books are kept. A busy loop would be no such thing, as its instructions are
cheaper than the loop's; whole turns would be none either, since a few dear ones in some plays are what a median passes
over, and what makes a loop slower does so in every play. What a share costs in CPU time is measured (`cpu_ratio`), and
the share is set by that; `net_instructions` is a check on it without noise.
"""

from __future__ import annotations

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

from looprig.messages import Message
from looprig.workload import Workload, unpack
from reference_loop import ReferenceLoop
from reference_loop import make_loop as reference
from reference_loop.config import Config
from reference_loop.history import History

SPEC = "tests/perf/slowed.py:make_loop"

OPTIONS = "max_history_pairs=20"
"""Short histories, so that a short conversation is trimmed, too."""


class _Again:
    """What a side's plays share: the messages of the first one, the history beside, and the work that is owed."""

    def __init__(self, config: Config) -> None:
        self.messages: list[Message] = []
        self._config, self._history = config, History(config.new_policy())
        self._owed, self._next = 0.0, 0

    def listen(self, history: Sequence[Message], systems: Sequence[Message]) -> None:
        """Take in what a turn has added to *history*, and the system messages before it."""
        start = max(number for number, message in enumerate(history) if message.role == "user")
        self.messages += (*systems, *history[start:])

    def owe(self, messages: float) -> None:
        """Owe so many messages, and do what is owed."""
        self._owed += messages
        while self._owed >= 1.0:
            self._owed -= 1.0
            if self._next == len(self.messages):  # else the system messages, which stay, would grow in number
                self._history, self._next = History(self._config.new_policy()), 0
            self._remember(self.messages[self._next])
            self._next += 1

    def _remember(self, message: Message) -> None:
        self._history.append(message)
        if message.role in ("user", "tool"):
            self._history.request()
        elif message.role == "assistant" and not message.tool_calls:
            self._history.end_turn()


_SIDES: dict[float, _Again] = {}


class Slowed:
    """The reference loop and the work done again; the first conversation is listened to, and costs nothing extra."""

    def __init__(self, loop: ReferenceLoop, config: Config, share: float) -> None:
        self._loop, self._share = loop, share
        self._listening = share not in _SIDES
        self._again = _SIDES.setdefault(share, _Again(config))
        self._systems: list[Message] = []

    def add_system(self, text: str) -> None:
        self._systems.append(Message(role="system", content=text))
        self._loop.add_system(text)

    async def send(self, text: str) -> Any:
        answer = await self._loop.send(text)
        if self._listening:
            self._again.listen(self._loop.history, self._systems)
            self._systems.clear()
        else:
            self._again.owe(self._share * MESSAGES)
        return answer

    def close(self) -> None:
        self._loop.close()


MESSAGES = 2
"""Messages that one turn is taken to have, whatever it has: the same work for each turn."""


def make_loop(model: Any, tools: Any, share: float = 0.0, **options: Any) -> Slowed:
    """Return the reference loop, which does *share* of its memory management again."""
    return Slowed(reference(model, tools, **options), Config(**options), float(share))


def net_instructions(packed: Path, share: float) -> int:
    """Return the instructions of `COUNTED` plays, without start-up and the first plays."""
    return _instructions(packed, share, COUNTED) - _instructions(packed, share, 0)


COUNTED = 40
"""Plays that are counted, so that the history beside them is trimmed in some of them, and goes round."""


def _instructions(packed: Path, share: float, plays: int) -> int:
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    told = _told(packed, share, plays, *valgrind).stderr
    (line,) = (line for line in told.splitlines() if re.search(r"I +refs:", line))
    return int(line.split(":")[1].replace(",", ""))


def cpu_ratio(packed: Path, share: float) -> float:
    """Return the ratio of the CPU time that whole plays take with *share* and without, in turn, in a fresh process."""
    return float(_told(packed, share, TIMED).stdout)


TIMED = 250
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
