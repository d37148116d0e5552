"""What the store keeps of one command: a record, with a part for each scenario and loop, with samples.

A record is written as JSON text, so that nothing but data can come out of a store.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import TypeVar

import msgspec

from looprig.verdicts import Comparison

T = TypeVar("T")

Scalar = int | float | str | bool


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A metric's value in one part, in *unit*; ``values`` are the raw ones, where it was made of several."""

    metric: str
    value: float
    unit: str = ""
    exact: bool = False
    values: tuple[float, ...] = ()


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One scenario with one loop.

    ``setup`` is everything that two parts must have in common to be compared: parameters, seeds, clock, tokens.
    ``side`` is before or after where two loops were compared, ``revision`` is that of the loop where it is not the
    record's. ``broken`` counts violations by code, ``digests`` are those of the runs, in the order of ``seeds``.
    """

    scenario: str
    loop: str
    setup: str = ""
    side: str = ""
    revision: str | None = None
    seeds: tuple[int, ...] = ()
    params: Mapping[str, Scalar] = msgspec.field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    judged: int = 0
    broken: Mapping[str, int] = msgspec.field(default_factory=dict)
    digests: tuple[str, ...] = ()
    error: str | None = None


class RunRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that one command found, and where: the unit that is kept, or not kept, as a whole.

    ``kind`` is the command's name, ``at`` the time in UTC (`looprig.store.origin.now`), ``verdict`` a word of
    `looprig.exits.Exit` in lower case. ``revision`` is the git commit of the folder that it ran in, ``dirty``
    whether tracked files differed from it; both are None outside of git.
    """

    kind: str
    at: str
    verdict: str = ""
    command: str = ""
    looprig: str = ""
    revision: str | None = None
    dirty: bool | None = None
    machine: Mapping[str, str | int] = msgspec.field(default_factory=dict)
    versions: Mapping[str, str] = msgspec.field(default_factory=dict)
    clock: str = "virtual"
    tokens: str = "estimate"
    parts: tuple[Part, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    error: str | None = None


def storable(record: RunRecord) -> RunRecord:
    """Return *record* as it comes back from a store.

    What no database takes is written out: a lone surrogate as ``\\udc80``, a NUL as ``\\x00``. A comparison's ratio
    or interval that is not finite is None. Loading what was saved gives exactly this.

    Raises:
        ValueError: where a sample is not a finite number.
    """
    for part in record.parts:
        for sample in part.samples:
            if not all(map(math.isfinite, (sample.value, *sample.values))):
                raise ValueError(f"{part.scenario}: {sample.metric} is {sample.value}; only finite numbers are kept")
    comparisons = tuple(map(_finite, record.comparisons))
    return _clean(msgspec.structs.replace(record, comparisons=comparisons), RunRecord)


def _finite(found: Comparison) -> Comparison:
    interval = found.interval if found.interval and all(map(math.isfinite, found.interval)) else None
    return replace(
        found,
        before=_or_none(found.before),
        after=_or_none(found.after),
        ratio=_or_none(found.ratio),
        interval=interval,
    )


def _or_none(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _clean(value: T, kind: type[T]) -> T:
    """Return *value* with every text in it made storable."""
    return msgspec.convert(_cleaned(msgspec.to_builtins(value)), kind)


def _cleaned(value: object) -> object:
    match value:
        case str():
            return text(value)
        case dict():
            return {_cleaned(key): _cleaned(each) for key, each in value.items()}
        case list() | tuple():
            return [_cleaned(each) for each in value]
        case _:
            return value


def text(given: str) -> str:
    """Return *given* as every database takes it."""
    if given.isprintable():  # the usual case: neither is in it
        return given
    return given.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def encoded(value: object) -> str:
    """Return *value* as one line of JSON."""
    return msgspec.json.encode(value).decode()


def digest(*columns: object) -> str:
    """Return what is written beside *columns*, so that a row that a disk has changed is known as such."""
    return blake2b(
        "\x1f".join("" if each is None else str(each) for each in columns).encode(), digest_size=16
    ).hexdigest()


def machine_key(machine: Mapping[str, str | int]) -> str:
    """Return in words what two machines must have in common for times to be compared; "" where nothing is known.

    A patch release of Python is not part of it, a minor one is.
    """
    if not machine:
        return ""
    minor = ".".join(str(machine.get("python", "?")).split(".")[:2])
    words = [f"{machine.get('implementation', '?')} {minor}", f"{machine.get('system', '?')}"]
    words += [str(machine[name]) for name in ("processor", "cpu") if machine.get(name)]
    return ", ".join([*words, f"{machine.get('cores', '?')} cores"])


def setup_of(
    params: Mapping[str, Scalar], seeds: Sequence[int], clock: str = "virtual", tokens: str = "estimate"
) -> str:
    """Return in words what was played and how: two parts with another setup are never one series."""
    words = [f"{name}={params[name]}" for name in sorted(params)]
    if seeds:
        words.append(f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {_ranges(seeds)}")
    words += [f"{clock} time"] if clock != "virtual" else []
    words += [f"tokens by {tokens}"] if tokens != "estimate" else []
    return " ".join(words)


def _ranges(seeds: Sequence[int]) -> str:
    if list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))
