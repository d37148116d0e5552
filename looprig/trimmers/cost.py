"""What one call of a trimmer costs, on histories of a thousand, ten thousand and a hundred thousand messages.

CPU time is compared within one process, and the exponent with which it grows survives a noisy machine: a trimmer of
which little is kept has no reason to cost more than what it keeps. How often the counter is asked is exact.
"""

from __future__ import annotations

import gc
import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from looprig.messages import Message
from looprig.trimmers import letters
from looprig.trimmers.call import Caller, TrimFailed
from looprig.trimmers.contract import NotRepresentable, Subject, tokens
from looprig.trimmers.driver import unit_of

SIZES = (1_000, 10_000, 100_000)
LIMITS = {"messages": 100, "tokens": 1000, "turns": 20, "groups": 60}
TRAFFIC = "U A U C1 T A U C2 T T C1 T A U C3 T T T A U C1 T C1 T A"
ONE_CALL_TRAFFIC = "U A U C1 T A U C1 T C1 T A"
"""For messages that cannot hold several calls."""

CALL_LIMIT_S = 20.0
"""No call is made that is expected to take longer, and none is let run for longer."""

LEAST_NS = 2_000_000
BATCHES = 5


@dataclass(slots=True)
class Cost:
    """What a call costs by the length of the history.

    ``us`` is CPU time in microseconds, ``counted`` how often our token counter was asked (where it is the trimmer's),
    ``skipped`` why there is no figure. ``exponent`` is the slope of time over length on logarithmic scales: 0 does not
    grow, 1 is linear, 2 quadratic.
    """

    name: str
    us: dict[int, float] = field(default_factory=dict)
    counted: dict[int, int] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)
    floor_us: Mapping[int, float] = field(default_factory=dict)
    """What ``h[-n:]`` costs in the same process."""

    @property
    def exponent(self) -> float | None:
        """The growth exponent over all lengths that were measured."""
        return slope([(math.log(size), math.log(max(us, 1e-3))) for size, us in self.us.items()])

    def ratio(self, size: int) -> float | None:
        """Return how many times as much as ``h[-n:]`` it costs."""
        if size not in self.us or size not in self.floor_us:
            return None
        return self.us[size] / max(self.floor_us[size], 1e-3)


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the slope of the line of least squares; None of fewer than two points."""
    if len(points) < 2:
        return None
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    over: float = sum((x - x_mean) * (y - y_mean) for x, y in points)
    spread: float = sum((x - x_mean) * (x - x_mean) for x, _ in points)
    return over / spread


def measure(subject: Subject, sizes: Sequence[int] = SIZES, call_limit_s: float = CALL_LIMIT_S) -> Cost:
    """Time calls of *subject* at *sizes*; what would take too long is skipped, with the reason."""
    cost = Cost(subject.name, floor_us={size: _floor_us(size) for size in sizes})
    with Caller(call_limit_s) as caller:
        for size in sizes:
            if (expected := _expected_s(cost, size)) > call_limit_s:
                cost.skipped[size] = f"would take about {expected:.0f} s"
                continue
            try:
                cost.us[size], cost.counted[size] = _timed(subject, _held(subject, size), caller)
            except NotRepresentable:
                cost.skipped[size] = "its messages cannot hold such a history"
            except TrimFailed as failure:
                cost.skipped[size] = str(failure)
                break
    return cost


def _held(subject: Subject, size: int) -> list[Message]:
    """Return a history of *size* messages that the subject's messages can hold.

    Raises:
        NotRepresentable: where there is none.
    """
    apart = subject.contract(1).system_apart
    for traffic in (TRAFFIC, ONE_CALL_TRAFFIC):
        given = history(size + apart, traffic)[apart:]
        try:
            subject.codec.load(given[:100])
            subject.codec.load(given[-100:])
        except NotRepresentable:
            continue
        return given
    raise NotRepresentable("neither mixed traffic nor single calls")


def history(size: int, kind: str = TRAFFIC) -> list[Message]:
    """Return traffic of *size* messages, ended where a user has just spoken."""
    traffic = letters.read(kind)
    made = ["S", *(traffic * (size // len(traffic) + 1))][: size - 1]
    while made[-1] != "A":
        made.pop()
    return letters.build([*made, "U"])


def _expected_s(cost: Cost, size: int) -> float:
    """Guess from the lengths before; after one alone growth is taken to be linear, and the alarm has the last word."""
    if not cost.us:
        return 0.0
    last = max(cost.us)
    exponent = cost.exponent if cost.exponent is not None else 1.0
    expected: float = cost.us[last] / 1e6 * (size / last) ** max(exponent, 1.0)
    return expected


def _floor_us(size: int) -> float:
    given = history(size)
    return _best_us(lambda count: [given[-100:] for _ in range(count)])


def _timed(subject: Subject, given: list[Message], caller: Caller) -> tuple[float, int]:
    """Return CPU time of one call and how often it asked our counter; each call has a fresh trimmer and history."""
    limit = LIMITS[unit_of(subject)]
    native, trimmer = subject.codec.load(given), subject.make(limit)
    mode = subject.contract(limit).mode
    if mode == "view":
        caller.call(trimmer, native)  # what it looks at has been filled when the conversation has come so far
    asked = tokens.calls
    started = time.process_time_ns()
    caller.call(trimmer, native)
    once_ns = time.process_time_ns() - started
    asked = tokens.calls - asked
    if once_ns > LEAST_NS:
        calls = 1 if once_ns > 500 * LEAST_NS else 3
        if mode == "view":
            return min(_call_us(trimmer, native, caller) for _ in range(calls)), asked
        return min(_once_us(subject, limit, given, caller) for _ in range(calls)), asked
    if mode == "view":
        return _batch_us([trimmer], [native], caller, pure=True), asked
    pure = mode == "pure"
    copies = 1 if pure else 50
    natives = [subject.codec.load(given) for _ in range(copies)]
    trimmers = [subject.make(limit) for _ in range(copies)]
    return _batch_us(trimmers, natives, caller, pure), asked


def _once_us(subject: Subject, limit: int, given: list[Message], caller: Caller) -> float:
    return _call_us(subject.make(limit), subject.codec.load(given), caller)


def _call_us(trimmer: Any, native: list[Any], caller: Caller) -> float:
    gc.collect()
    started = time.process_time_ns()
    caller.call(trimmer, native)
    return (time.process_time_ns() - started) / 1000


def _batch_us(trimmers: list[Any], natives: list[list[Any]], caller: Caller, pure: bool) -> float:
    """Time many short calls at once: what the alarm and the event loop of one call cost is not the trimmer's."""

    def sync(count: int) -> None:
        for index in range(count):
            trimmers[index % len(trimmers)](natives[index % len(natives)])

    async def later(count: int) -> None:
        for index in range(count):
            result = trimmers[index % len(trimmers)](natives[index % len(natives)])
            if inspect.isawaitable(result):
                await result

    probe = trimmers[0](natives[0])
    waits = inspect.isawaitable(probe)
    if waits:
        caller.call(lambda _: probe, [])
    run: Callable[[int], Any] = (lambda count: caller.call(lambda _: later(count), [])) if waits else sync
    return _best_us(run) if pure else _batch_of_us(run, len(trimmers))


def _batch_of_us(run: Callable[[int], Any], count: int) -> float:
    started = time.process_time_ns()
    run(count)
    return (time.process_time_ns() - started) / 1000 / count


def _best_us(run: Callable[[int], Any]) -> float:
    """Return the CPU time of one of the calls that *run* makes, the best of a few batches of at least 2 ms each."""
    count, spent = 1, 0
    while spent < LEAST_NS and count < 1_000_000:
        count *= 4
        started = time.process_time_ns()
        run(count)
        spent = time.process_time_ns() - started
    best = spent
    for _ in range(BATCHES - 1):
        started = time.process_time_ns()
        run(count)
        best = min(best, time.process_time_ns() - started)
    return best / 1000 / count
