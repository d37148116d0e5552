"""What a user asks of a load run in words, read into the values of a plan; errors say what would be right."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from looprig.load.plan import Arrivals, Stage, Think
from looprig.load.thresholds import ThresholdError, parse, parse_slo

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

FIRST_TOKEN_S = 0.1
"""What the scripted model takes to its first token in a service that a run starts, unless it is told otherwise."""

SERVICE_S = 0.2
"""What the default threshold grants the service beyond its model's time, at p95."""

ERROR_RATE = "error_rate < 1%"


class BadWish(ValueError):
    """Something that cannot be read; the text says how to write it."""


def duration(text: str) -> float:
    """Read ``60s``, ``500ms``, ``5m`` or ``1h30m`` into seconds.

    Raises:
        BadWish: where it is none of these.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text.replace(" ", ""))
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        raise BadWish(f"{text!r} is no duration; write one such as 60s, 500ms, 5m or 1h30m")
    return math.fsum(float(number) * _UNITS[unit] for number, unit in parts)


def stages(text: str) -> tuple[Stage, ...]:
    """Read ``30s:2,60s:2-10,30s:10``: for how long which rate or number of users, or from which to which.

    Raises:
        BadWish: for a stage that cannot be read, names no time, or where all of it is 0.
    """
    made = tuple(_stage(part) for part in text.split(","))
    if not any(stage.start or stage.end for stage in made):
        raise BadWish(f"{text!r} asks for nothing at all times")
    return made


def _stage(text: str) -> Stage:
    found = re.fullmatch(r"\s*([^:]+):\s*(\d+(?:\.\d+)?)\s*(?:-\s*(\d+(?:\.\d+)?))?\s*", text)
    if found is None:
        raise BadWish(f"{text.strip()!r} is no stage; write TIME:VALUE or TIME:FROM-TO, as in 30s:2,60s:2-10")
    seconds = duration(found[1].strip())
    if not seconds:
        raise BadWish(f"{text.strip()!r} lasts for no time")
    return Stage(duration_s=seconds, start=float(found[2]), end=float(found[3] or found[2]))


def think(text: str) -> Think:
    """Read ``2s`` or ``18s,1.25``: a median, and the sigma of a lognormal; a median alone is kept to exactly.

    Raises:
        BadWish: where it is neither.
    """
    median, comma, sigma = text.partition(",")
    if comma and not re.fullmatch(r"\s*\d+(?:\.\d+)?\s*", sigma):
        raise BadWish(f"{sigma.strip()!r} is no sigma; write a median and a sigma, as in 18s,1.25")
    return Think(median_s=0.0 if median.strip() == "0" else duration(median.strip()), sigma=float(sigma or 0.0))


def arrivals(text: str, in_flight_most: int | None = None) -> Arrivals:
    """Read ``poisson``, ``constant`` or ``gamma:SHAPE``.

    Raises:
        BadWish: where it is none of these.
    """
    if text in ("poisson", "constant"):
        return Arrivals(kind="poisson" if text == "poisson" else "constant", in_flight_most=in_flight_most)
    found = re.fullmatch(r"gamma:(\d+(?:\.\d+)?)", text)
    if found is None or not float(found[1]):
        raise BadWish(f"{text!r} are no arrivals; write poisson, constant, or gamma:SHAPE such as gamma:0.5")
    return Arrivals(kind="gamma", shape=float(found[1]), in_flight_most=in_flight_most)


def slos(texts: Sequence[str]) -> dict[str, float]:
    """Read limits such as ``ttft=800ms``.

    Raises:
        ThresholdError: with the column of what is wrong.
    """
    return dict(parse_slo(text) for text in texts)


def thresholds(texts: Sequence[str], ours: bool, ttft: str | None) -> tuple[str, ...]:
    """Return the thresholds of a run: those that are given, else `defaults`.

    Raises:
        ThresholdError: with the column of what is wrong.
    """
    for text in texts:
        parse(text)
    return tuple(texts) or defaults(ours, ttft)


def defaults(ours: bool, ttft: str | None) -> tuple[str, ...]:
    """Return the thresholds of a run for which none were given.

    Fewer than one turn in a hundred may fail. Of a service that the run starts, the time to its model's first token is
    known, where that is one number; then p95 may take 200 ms more. Of another service nobody knows what is slow.
    """
    if not ours:
        return (ERROR_RATE,)
    try:
        first_s = FIRST_TOKEN_S if ttft is None else duration(ttft)
    except BadWish:
        return (ERROR_RATE,)
    return (f"ttft.p95 < {(first_s + SERVICE_S) * 1000:g}ms", ERROR_RATE)


__all__ = [
    "BadWish",
    "ThresholdError",
    "arrivals",
    "defaults",
    "duration",
    "slos",
    "stages",
    "think",
    "thresholds",
]
