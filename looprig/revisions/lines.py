"""What is said between looprig and the process that plays a revision's loop: one line of JSON a question or answer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from looprig.runner import Outcome


class Find(msgspec.Struct, frozen=True, tag=True):
    """Find the loop that a text form names. From ``users`` nothing may be imported, unless it is ``spared``."""

    spec: str
    users: str
    spared: Sequence[str]
    log: str | None = None


class Play(msgspec.Struct, frozen=True, tag=True):
    """Play a packed scenario against the loop, and watch it."""

    scenario: bytes
    clock: str
    tokens: str
    turn_limit_s: float
    providers: tuple[str, ...]


class Found(msgspec.Struct, frozen=True, tag=True):
    """The loop is there: the file that its factory is from, and the clock that it needs."""

    file: str | None
    clock: str


class Played(msgspec.Struct, frozen=True, tag=True):
    """What the run showed, and the files that were imported from where nothing may be."""

    outcome: Outcome
    strangers: Sequence[str]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """It could not be done; the text says why."""

    because: str


QUESTION: msgspec.json.Decoder[Find | Play] = msgspec.json.Decoder(Find | Play)
ANSWER: msgspec.json.Decoder[Found | Played | Failed] = msgspec.json.Decoder(Found | Played | Failed)


def line(said: Find | Play | Found | Played | Failed) -> bytes:
    """Return what is said as it is sent."""
    return msgspec.json.encode(said) + b"\n"
