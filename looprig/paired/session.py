"""One session: fresh interpreters, both sides on one core, legs in turn; its outcome is one number.

What differs between two processes of the same code is their address layout and their hash seed, by about 1 %, and no
repeating inside them averages that away. So a session draws a core, a hash seed for all sides and an order of
starting, and gives one logarithm of a ratio; sessions are what the rule counts (Kalibera and Jones, ISMM 2013).

There are machines whose cores run at half their speed for 10 to 100 ms at a time, with nothing in any counter to show
for it. What is to be set side by side has to be played within less. So the sides play a scenario in legs of a fraction
of a millisecond, in turn, there and back (AB BA BA AB …): what drifts, and what jumps now and then, meets all sides
alike. Some plays of each side are a block. The value of a session is the median of its blocks. Six are enough on a
calm machine; else a session goes on for as long as they disagree. It looks at their spread and not at their value, so
it leans to neither side.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from random import Random
from statistics import median

from looprig.home import Party
from looprig.paired.crew import Crew, Design, Draw, Failed

LEG_NS = 500_000
"""CPU time that one side plays before the next one does, unless a single turn takes longer.

Each leg begins with caches that the other side has filled, which costs both sides alike, and so hides a part of what
they differ by: a tenth with legs of a quarter of a millisecond, a few hundredths with these."""

LEG_APART_NS = 1_000_000
"""The same where each side has a process: changing over costs more there."""

BLOCK_NS = 10_000_000
"""CPU time of each side in a block, unless a single play takes longer."""

BLOCKS = 6
"""Blocks of a session, if they agree: beyond six only new sessions bring more."""

MOST_BLOCKS = 20
"""Blocks of a session, if they do not agree."""

AGREED = 0.008
"""Blocks agree where the standard error of their median is no larger: about half of what sessions differ by."""

FEWEST_BLOCKS = 2
"""Blocks of a session whose plays are long: a long play averages by itself."""

WARM_UP = 2
"""Plays of each side, or more, before the first one that counts."""

BEFORE, AFTER, CONTROL = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Size:
    """How much a session plays: plays a block, turns a leg, and the CPU time of a side in a block in nanoseconds."""

    plays: int
    leg_turns: int
    block_ns: int

    @property
    def blocks(self) -> int:
        """How many blocks a session has, if they agree."""
        return min(BLOCKS, max(FEWEST_BLOCKS, round(BLOCKS * BLOCK_NS / self.block_ns)))

    @property
    def most_blocks(self) -> int:
        """How many blocks a session has, if they do not agree."""
        return min(MOST_BLOCKS, max(FEWEST_BLOCKS, round(MOST_BLOCKS * BLOCK_NS / self.block_ns)))

    def session_s(self, sides: int) -> float:
        """Return about how long the blocks of a short session take in CPU time, in seconds."""
        return sides * (1 + self.blocks) * self.block_ns / 1e9


@dataclass(frozen=True, slots=True)
class Session:
    """What a session found: log ratios of AFTER and of the control by BEFORE, times of a play, and what it cost."""

    draw: Draw
    log_ratio: float
    control: float | None
    before_ns: float
    after_ns: float
    wall_by_cpu: float
    cpu_s: float
    blocks: int
    before_failed: Failed
    after_failed: Failed


def drawn(random: Random, sides: int) -> Draw:
    """Draw what chance decides for a session of so many sides."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    core = random.choice(cores) if cores else None
    return Draw(core, random.randrange(1, 2**32), tuple(random.sample(range(sides), sides)))


def measured_size(crew: Crew, design: Design) -> Size:
    """Find out how many plays of BEFORE make a block, and how many turns a leg."""
    answer = crew.calibrate(BEFORE, BLOCK_NS)
    plays, block_ns, turns = int(answer["plays"]), int(answer["cpu_ns"]), int(answer["turns"])
    leg_ns = LEG_NS if design is Design.TOGETHER else LEG_APART_NS
    return Size(plays, max(1, round(turns * leg_ns * plays / block_ns)), block_ns)


class TooLong(Exception):
    """The batches of one session would take so many seconds of CPU time, which is more than there is."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.1f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds that the batches of a session may be expected to take, and after which it is taken to hang."""

    longest_s: float
    hangs_s: float


def play(
    parties: Sequence[Party], packed: Path, draw: Draw, design: Design, size: Size | None, bounds: Bounds
) -> tuple[Session, Size]:
    """Play one session of BEFORE, AFTER and perhaps a control; without a *size* it is found out first.

    Raises:
        LoopError: where a loop cannot be made or raises, or its process dies or hangs.
        TooLong: where the session would take longer than it may.
    """
    with Crew(parties, packed, draw, design, bounds.hangs_s) as crew:
        if size is None:
            size = measured_size(crew, design)
            if size.session_s(len(parties)) > bounds.longest_s:
                raise TooLong(size.session_s(len(parties)))
        legs = crew.cut(size.leg_turns)
        _block(crew, draw.order, max(WARM_UP, size.plays), legs)
        crew.settle()
        blocks: list[Times] = []
        while len(blocks) < size.blocks or (len(blocks) < size.most_blocks and not _agreed(blocks)):
            blocks.append(_block(crew, _turned(draw.order, len(blocks)), size.plays, legs))
        cpu_ns, failed = crew.quit()
    return _session(draw, blocks, size, cpu_ns / 1e9, failed), size


Times = dict[int, tuple[int, int]]
"""For each side its CPU time and wall time in a block, in nanoseconds."""


def _turned(order: Sequence[int], number: int) -> Sequence[int]:
    """Return the order of sides on the way there of a block: each side begins as often as the others."""
    first = number % len(order)
    return (*order[first:], *order[:first])


def _agreed(blocks: Sequence[Times]) -> bool:
    """Whether the median of the blocks is known well enough, for every side.

    The standard error of a median is 1.2533 · sd / sqrt(n), where 1.4826 · MAD stands for sd.
    """
    return all(
        1.2533 * 1.4826 * _spread(_log_ratios(blocks, side)) / sqrt(len(blocks)) <= AGREED
        for side in blocks[0]
        if side != BEFORE
    )


def _spread(values: Sequence[float]) -> float:
    middle = median(values)
    return median(abs(value - middle) for value in values)


def _block(crew: Crew, order: Sequence[int], plays: int, legs: int) -> Times:
    """Let each side play so many times, in legs; return the sums."""
    times = dict.fromkeys(order, (0, 0))
    for number in range(plays):
        sides = [side for leg in range(legs) for side in _leg(order, number + leg)]
        for side, (cpu_ns, wall_ns) in zip(sides, crew.go(sides), strict=True):
            cpu, wall = times[side]
            times[side] = cpu + cpu_ns, wall + wall_ns
    return times


def _leg(order: Sequence[int], number: int) -> Sequence[int]:
    """Return the order of sides in a leg: there in the even ones, back in the odd ones, and each side begins."""
    there = _turned(order, number // 2)
    return tuple(reversed(there)) if number % 2 else there


def _session(draw: Draw, blocks: Sequence[Times], size: Size, cpu_s: float, failed: Mapping[int, Failed]) -> Session:
    cpu = sum(times[0] for block in blocks for times in block.values())
    wall = sum(times[1] for block in blocks for times in block.values())
    return Session(
        draw,
        median(_log_ratios(blocks, AFTER)),
        median(_log_ratios(blocks, CONTROL)) if CONTROL in blocks[0] else None,
        median(block[BEFORE][0] for block in blocks) / size.plays,
        median(block[AFTER][0] for block in blocks) / size.plays,
        wall / cpu,
        cpu_s,
        len(blocks),
        failed[BEFORE],
        failed[AFTER],
    )


def _log_ratios(blocks: Sequence[Times], side: int) -> list[float]:
    return [log(block[side][0] / block[BEFORE][0]) for block in blocks]
