"""Faults that the service makes on purpose, so that what measures it can be seen to notice them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from looprig.serving.pacing import BadLatency, parse_duration

KINDS: Mapping[str, str] = {
    "stall": "stall:ms=300[,every=N]: before the first event of a turn nothing comes for so long",
    "cut": "cut[:every=N]: the connection is closed in the middle of an answer",
    "freeze": "freeze:at=2s,for=1s: so long after the first turn the whole service does nothing for a while",
}


class BadFault(ValueError):
    """A fault that cannot be read; the text says how to write one."""


class Fault(NamedTuple):
    """One ``--fault``; times are in seconds, and ``every`` counts turns."""

    kind: str
    every: int = 1
    for_s: float = 0.0
    at_s: float = 0.0


class _Part(NamedTuple):
    name: str
    read: Callable[[str], Any]


def _every(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII):
        raise ValueError
    return int(text)


def _milliseconds(text: str) -> float:
    return parse_duration(f"{text}ms")


_PARTS: Mapping[str, Mapping[str, _Part]] = {
    "stall": {"ms": _Part("for_s", _milliseconds), "every": _Part("every", _every)},
    "cut": {"every": _Part("every", _every)},
    "freeze": {"at": _Part("at_s", parse_duration), "for": _Part("for_s", parse_duration)},
}
_NEEDED = {"stall": {"ms"}, "cut": set[str](), "freeze": {"at", "for"}}


def parse_fault(text: str) -> Fault:
    """Read a fault as `KINDS` shows it.

    Raises:
        BadFault: with what is wrong, and what there is.
    """
    kind, _, rest = text.strip().partition(":")
    if kind not in KINDS:
        raise BadFault(f"there is no fault {kind!r}; there are {', '.join(KINDS.values())}")
    values: dict[str, Any] = {}
    given = set()
    for part in filter(None, rest.split(",")):
        key, _, value = part.strip().partition("=")
        known = _PARTS[kind].get(key)
        try:
            if known is None:
                raise ValueError
            values[known.name] = known.read(value)
        except (ValueError, BadLatency):
            raise BadFault(f"{text!r}: {part!r} is not understood; write {KINDS[kind]}") from None
        given.add(key)
    if not _NEEDED[kind] <= given:
        raise BadFault(f"{text!r} leaves something out; write {KINDS[kind]}")
    return Fault(kind, **values)
