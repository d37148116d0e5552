"""The histories that a trimmer is tried on: all short ones, and long ones of the kinds that break trimmers.

Nearly every fault of a trimmer shows in at most five messages, so all short histories are played. Long ones add
what only length can show, and each is shifted by up to seven messages, or a trim would always miss the group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from looprig.trimmers.contract import Unit
from looprig.trimmers.letters import read

TURNS = ("U A", "U C1 T A", "U C2 T T A", "U C1 T")
"""Shapes of a turn that is over; the last one was given up before its answer."""

TAILS = ("U", "U C1", "U C1 T", "U C2 T T", "U C3 T", "U C1 T C1 T")
"""Where a conversation can stand while its newest turn is under way."""

LONG = {
    "chain": "S {} U (C1 T)x60",
    "parallel": "S {} (U C8 (T)x8 C3 T T T A)x6 U C5 T T T T T",
    "giants": "S {} U A U! A U C1! T! A U A! U C2 T! T",
    "reused ids": "S {} (U C1= T A)x20 U C1= T",
    "late results": "S {} (U A)x10 U C1 U T A U C1 T",
    "greeting": "S A {} (U A)x23 U",
    "many systems": "S S {} (U A S)x8 U C1 T",
    "agent": "S {} (U A U C1 T A U C2 T T C1 T A U C3 T T T A)x6 U C1 T C1 T",
}
"""Kinds of long histories; what shifts the rest comes where the braces are."""

ONE_TURN = "S U (C1 T)x203"
"""One turn far beyond every limit; how much of it is left tells a trimmer that cannot cut inside a turn."""

SHIFTS = range(8)
PHASES = range(4)
"""A long history is also played without its last one, two and three messages."""

LIMITS: dict[Unit, tuple[int, ...]] = {
    "messages": (2, 3, 4, 5, 6, 8),
    "tokens": (20, 30, 40, 50, 60, 80),
    "turns": (1, 2, 3),
    "groups": (1, 2, 3, 4, 6),
}
LONG_LIMITS: dict[Unit, tuple[int, ...]] = {
    "messages": (5, 20, 50),
    "tokens": (50, 205, 1000),
    "turns": (1, 5, 12),
    "groups": (3, 12, 30),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One history in letters, the limit that it is trimmed to, and which kind it is of."""

    letters: tuple[str, ...]
    limit: int
    kind: str = "short"


def short() -> Iterator[tuple[str, ...]]:
    """Yield all histories of up to two finished turns and one under way, with and without a system message: 252."""
    for system, before, tail in product(("", "S"), (0, 1, 2), TAILS):
        for turns in product(TURNS, repeat=before):
            yield read(" ".join([system, *turns, tail]))


def long(shifts: range = SHIFTS, phases: range = PHASES) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield kind and letters of the long histories."""
    for (kind, text), shift in product(LONG.items(), shifts):
        whole = read(text.format(_shifting(shift)))
        for phase in phases:
            yield kind, whole[: len(whole) - phase]


def _shifting(messages: int) -> str:
    return " ".join([*(["U"] * (messages % 2)), *(["U A"] * (messages // 2))])


def cases(unit: Unit, limits: tuple[int, ...] = (), *, slow: bool = False, apart: bool = False) -> Iterator[Case]:
    """Yield all cases of a trimmer with that unit, at *limits* where there are any, short histories first.

    ``slow`` plays a quarter of the long ones; ``apart`` plays histories without system messages.
    """
    seen = set()
    for letters in short():
        played = _without_systems(letters) if apart else letters
        if played not in seen:
            seen.add(played)
            yield from (Case(played, limit) for limit in limits or LIMITS[unit])
    whole = _without_systems(read(ONE_TURN)) if apart else read(ONE_TURN)
    yield from (Case(whole, limit, "one turn") for limit in limits or LONG_LIMITS[unit])
    for kind, letters in long(range(0, 8, 2) if slow else SHIFTS, range(0, 4, 2) if slow else PHASES):
        played = _without_systems(letters) if apart else letters
        yield from (Case(played, limit, kind) for limit in limits or LONG_LIMITS[unit])


def _without_systems(letters: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(letter for letter in letters if letter[0] != "S")
