"""How a service behaves, and what its options mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from looprig.scenario import Scenario
from looprig.service.faults import BadFault, Fault, parse_fault
from looprig.serving.pacing import BadLatency, Latency, Pace, parse_duration, parse_latency


class BadSetting(ValueError):
    """An option that cannot be read; the text says how to write it."""


Make = Callable[[str, int, Mapping[str, str]], Scenario]
"""Makes the scenario of a name, a seed and parameters as text; raises `looprig.content.ContentError`."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the service holds at most; beyond, it answers 429 or 413.

    ``sessions`` that are open, ``turns`` that run at one time, of which synchronous loops get ``threads``, bytes of a
    ``body``. A session that nobody spoke to for ``idle_s`` is closed, a turn that takes longer than ``turn_s`` stopped;
    when the service stops, running turns get ``grace_s`` to end.
    """

    sessions: int = 10_000
    turns: int = 2_000
    threads: int = 64
    body: int = 2**20
    idle_s: float = 900.0
    turn_s: float = 60.0
    grace_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a service behaves: its loop, and what is played to a session that asks for nothing else."""

    factory: Callable[..., Any]
    make: Make
    spec: str = "loop"
    scenario: str = "long_conversation"
    seed: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    bounds: Bounds = field(default_factory=Bounds)
    faults: Sequence[Fault] = ()


def pace_of(ttft: str | None, itl: str | None, seed: int) -> Pace:
    """Read the options that say how fast the model answers.

    Raises:
        BadSetting: where one cannot be read.
    """
    try:
        return Pace(ttft=_latency(ttft), itl=_latency(itl), seed=seed)
    except BadLatency as error:
        raise BadSetting(f"--ttft and --itl: {error}") from error


def duration_of(option: str, text: str) -> float:
    """Read the time that an option gives, as seconds.

    Raises:
        BadSetting: where it cannot be read.
    """
    try:
        return parse_duration(text)
    except BadLatency as error:
        raise BadSetting(f"{option}: {error}") from error


def _latency(text: str | None) -> Latency | None:
    return None if text is None else parse_latency(text)


def faults_of(texts: Sequence[str]) -> tuple[Fault, ...]:
    """Read the faults that the service is to make.

    Raises:
        BadSetting: where one cannot be read.
    """
    try:
        return tuple(map(parse_fault, texts))
    except BadFault as error:
        raise BadSetting(f"--fault: {error}") from error
