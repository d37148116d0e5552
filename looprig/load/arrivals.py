"""When sessions arrive: seeded schedules over stages, and recorded ones out of traces. Nothing here waits.

A schedule is made in two steps. Arrivals of rate 1 are drawn from the seed: a renewal process, whose gaps have the
mean 1. Then they are laid out so that as many of them lie before a moment as the rate, summed up to then, says: the
inverse of the cumulative rate, which is exact for a process whose rate changes (Cinlar, Introduction to Stochastic
Processes, 1975, section 4.7, for Poisson; the same change of time is used for all kinds). So the schedule depends on
nothing but stages, kind and seed, and n processes that each take every n-th arrival make together exactly all of them.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from looprig.load.plan import Arrivals, Plan, Stage
from looprig.scenario import stream

__all__ = ["TraceError", "arrivals", "cumulative", "level", "schedule", "share", "trace"]


class TraceError(ValueError):
    """A trace that cannot be replayed: which file and line, and what is wrong there."""


def schedule(plan: Plan) -> Iterator[float]:
    """Yield the seconds from the start at which *plan*'s sessions arrive, in order.

    A trace is cut off where the plan's stages end, if it has any.

    Raises:
        TraceError: where the plan's trace cannot be read, when the arrival in question is asked for.
    """
    if plan.users != "replay":
        return arrivals(plan.stages, plan.arrivals, plan.seed)
    if plan.trace is None:
        raise TraceError("a replay needs a trace: name its file as the plan's trace")
    times = (at_s * plan.trace_scale for at_s in trace(Path(plan.trace)))
    end = plan.duration_s
    return (at_s for at_s in times if at_s <= end) if end else times


def share(times: Iterator[float], index: int, of: int) -> Iterator[tuple[int, float]]:
    """Yield number and time of every arrival that belongs to process *index* (from 0) *of* so many."""
    return islice(enumerate(times), index, None, of)


def arrivals(stages: Sequence[Stage], kind: Arrivals, seed: int) -> Iterator[float]:
    """Yield the seconds at which sessions arrive over *stages*, whose values are sessions per second.

    Constant arrivals lie in the middle of the stretch that each has for itself, so that their number is that of the
    cumulative rate, rounded.
    """
    before = 0.0
    start = 0.0
    moments = _unit(kind, stream(seed, "arrivals"))
    moment = next(moments)
    for stage in stages:
        area = (stage.start + stage.end) / 2 * stage.duration_s
        while moment <= before + area:
            yield start + _within(stage, moment - before)
            moment = next(moments)
        before += area
        start += stage.duration_s


def cumulative(stages: Sequence[Stage], at_s: float) -> float:
    """Return how many arrivals are expected up to *at_s*: the area below the stages."""
    total = 0.0
    for stage in stages:
        passed = min(max(at_s, 0.0), stage.duration_s)
        slope = (stage.end - stage.start) / stage.duration_s
        total += stage.start * passed + slope * passed * passed / 2
        at_s -= stage.duration_s
    return total


def level(stages: Sequence[Stage], at_s: float) -> float:
    """Return the value of the stages at *at_s* (a rate, or users); 0 after the last."""
    for stage in stages:
        if at_s < stage.duration_s:
            return stage.start + (stage.end - stage.start) * max(at_s, 0.0) / stage.duration_s
        at_s -= stage.duration_s
    return 0.0


def _within(stage: Stage, area: float) -> float:
    """Return after how many seconds of *stage* the area below it is *area*.

    The root of ``start * t + slope / 2 * t**2 = area``, written so that nothing cancels where the slope is small.
    """
    slope = (stage.end - stage.start) / stage.duration_s
    root = math.sqrt(max(stage.start * stage.start + 2 * slope * area, 0.0))
    return min(2 * area / (stage.start + root), stage.duration_s) if area > 0 else 0.0


def _unit(kind: Arrivals, random: Random) -> Iterator[float]:
    """Yield the moments of an endless process of rate 1.

    It is taken up in the middle, as one that has long been running: the first gap is what is left of a gap that is
    as much longer as longer ones are more often met, ``U * Gamma(shape + 1)``. So no stretch has more arrivals than
    its rate says, which with bursts it otherwise would.
    """
    if kind.kind == "constant":
        number = 0
        while True:
            yield number + 0.5
            number += 1
    draw: Callable[[], float]
    if kind.kind == "poisson":

        def draw() -> float:
            return random.expovariate(1.0)

        moment = draw()
    else:
        shape = kind.shape

        def draw() -> float:
            return random.gammavariate(shape, 1 / shape)

        moment = random.random() * random.gammavariate(shape + 1, 1 / shape)
    while True:
        yield moment
        moment += draw()


# Traces ----------------------------------------------------------------------------------------------------------


def trace(path: Path) -> Iterator[float]:
    """Yield the seconds after the first, at which the requests of a trace came; the file is read as they are asked for.

    Three forms are known by their first line:

    - our own, JSON lines: ``{"at_s": 1.5}``, in seconds, from 0 upwards;
    - Mooncake's, JSON lines: ``{"timestamp": 3000, ...}``, in milliseconds;
    - Azure's LLM inference trace, CSV: a column ``TIMESTAMP`` of ``2023-11-16 18:15:46.6805900``.

    Of our own form the times are taken as they are, so that a trace may begin late; the others begin at 0.

    Raises:
        TraceError: with file, line and reason, for what cannot be read, and for times that go backwards.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _in_order(path, _read(path, file))
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"the trace {path} cannot be read: {error}") from None


def _read(path: Path, file: Any) -> Iterator[tuple[int, float]]:
    """Yield line number and seconds, in whichever form the file is."""
    first = file.readline()
    file.seek(0)
    if not first.strip():
        raise TraceError(f'the trace {path} is empty; it needs a line for each session, such as {{"at_s": 1.5}}')
    return _json_lines(path, file) if first.lstrip().startswith("{") else _csv(path, file)


def _json_lines(path: Path, file: Any) -> Iterator[tuple[int, float]]:
    first: float | None = None
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise TraceError(f"{path}, line {number}: not JSON ({error})") from None
        if not isinstance(row, dict):
            raise TraceError(f'{path}, line {number}: an object is expected, such as {{"at_s": 1.5}}')
        if "at_s" in row:
            yield number, _seconds(path, number, "at_s", row["at_s"])
        elif "timestamp" in row:
            at_s = _seconds(path, number, "timestamp", row["timestamp"]) / 1000
            first = at_s if first is None else first
            yield number, at_s - first
        else:
            raise TraceError(f"{path}, line {number}: neither at_s (seconds) nor timestamp (milliseconds, Mooncake's)")


def _seconds(path: Path, number: int, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise TraceError(f"{path}, line {number}: {name} must be a number from 0 upwards; {value!r} is not one")
    return float(value)


def _csv(path: Path, file: Any) -> Iterator[tuple[int, float]]:
    rows = csv.DictReader(file)
    if "TIMESTAMP" not in (rows.fieldnames or ()):
        raise TraceError(
            f"{path}, line 1: neither JSON lines nor a CSV file with a column TIMESTAMP, as Azure's traces have it"
        )
    first: datetime | None = None
    for row in rows:
        text = row["TIMESTAMP"] or ""
        try:
            at = datetime.fromisoformat(text)  # Azure writes seven digits of a second; Python leaves the last away
            first = at if first is None else first
            seconds = (at - first).total_seconds()
        except (ValueError, TypeError):  # the latter: one line names a time zone, another does not
            raise TraceError(
                f"{path}, line {rows.line_num}: TIMESTAMP must be like 2023-11-16 18:15:46.6805900; {text!r} is not"
            ) from None
        yield rows.line_num, seconds


def _in_order(path: Path, rows: Iterator[tuple[int, float]]) -> Iterator[float]:
    before = 0.0
    for number, at_s in rows:
        if at_s < before:
            raise TraceError(f"{path}, line {number}: this is {before - at_s:g} s before the line above; sort the file")
        before = at_s
        yield at_s
