"""How long things take and how often they fail, in the event loop's own time, be that real or virtual."""

import logging
import time
from array import array
from asyncio import BaseEventLoop
from bisect import bisect, bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from math import ceil, inf
from typing import Any

from msgspec import Struct, field

OPERATIONS = ("input_validation", "context_injection", "model_call", "tool_execution", "memory_management",
              "complete_iteration")  # fmt: skip
WARNING_ABOVE_S, INFO_ABOVE_S = 5.0, 1.0
BATCH, KEPT = 128, 16  # durations that go into figures at once, and spans that are kept: a service has many monitors
BOUNDS_S = [*(1e-7 * 2 ** (step / 8) for step in range(8 * 36)), inf]  # of the histogram, 100 ns to almost 2 hours

log = logging.getLogger("reference_loop")
current: ContextVar["Span | None"] = ContextVar("current", default=None)  # the span begun last here; it may be over


class Figures(Struct):
    """The figures of one operation; times in seconds. What is ``new`` is in none of the others yet."""

    count: int = 0
    failures: int = 0
    max_s: float = 0.0
    total_s: float = 0.0
    buckets: Counter[int] = field(default_factory=Counter)
    new: "array[float]" = field(default_factory=lambda: array("d"))

    def settle(self) -> "Figures":
        """Work in what is new; it is sorted, so that the histogram takes a bucket at a time."""
        new, self.new, begin = sorted(self.new), array("d"), 0
        self.count += len(new)
        self.max_s = max([self.max_s, *new[-1:]])
        self.total_s += sum(new)
        while begin < len(new):
            bucket = bisect(BOUNDS_S, new[begin])
            end = bisect_left(new, BOUNDS_S[bucket], begin)
            self.buckets[bucket] += end - begin
            begin = end
        return self


class Span(Struct, eq=False, gc=False):
    """An operation from beginning to end, and then its record; ``monitor`` is None when it is over."""

    monitor: Any
    operation: str
    about: str
    parent: "Span | None"
    started_s: float
    duration_s: float = 0.0
    failed: str = ""

    def fail(self, why: str = "_OTHER") -> None:
        """Count the operation as failed, though no exception leaves it; *why* is a type of error."""
        self.failed = why

    def __enter__(self) -> "Span":
        current.set(self)
        return self

    def __exit__(self, kind: Any, error: object, trace: object) -> None:
        monitor, self.monitor = self.monitor, None
        self.duration_s = duration_s = monitor.clock() - self.started_s
        monitor.recent.append(self)
        # What `Monitor.record` does, once more: to call it would cost too much.
        figures = monitor.figures[self.operation]
        figures.new.append(duration_s)
        if kind is not None or self.failed:
            self.failed = self.failed or kind.__qualname__
            figures.failures += 1
        if duration_s > monitor.noted_above_s or len(figures.new) >= BATCH:
            monitor.note(self.operation, self.about, duration_s)


class Monitor:
    """For one event loop. ``recent`` are the spans that ended last; ``clock`` returns seconds."""

    def __init__(self) -> None:
        self.begin(time.monotonic)
        self.recent: deque[Span] = deque(maxlen=KEPT)
        self.figures = defaultdict[str, Figures](Figures)
        self._counts = Counter({"alerts.warning": 0, "alerts.info": 0, "errors_with_traceback": 0})
        self._watched: dict[str, float] = {}

    def begin(self, clock: Callable[[], float]) -> None:
        """A turn begins: take its clock, and look up whether DEBUG is on, which takes too long for every span."""
        of_asyncio = getattr(clock, "__func__", None) is BaseEventLoop.time  # time.monotonic behind a Python call
        self.clock = time.monotonic if of_asyncio else clock
        self.noted_above_s = -inf if log.isEnabledFor(logging.DEBUG) else INFO_ABOVE_S

    def span(self, operation: str, about: str = "") -> AbstractContextManager[Span]:
        """Begin an operation, in the context that ends it; *about* says of what, such as the tool's name."""
        parent = current.get()
        while parent is not None and parent.monitor is None:
            parent = parent.parent
        return Span(self, operation, about, parent, self.clock())

    def record(self, operation: str, duration_s: float, *, failed: bool = False, about: str = "") -> None:
        """Take in a duration that was measured elsewhere; it is part of a span, which is logged when it is long."""
        figures = self.figures[operation]
        figures.new.append(duration_s)
        figures.failures += failed
        if len(figures.new) >= BATCH:
            figures.settle()

    def note(self, operation: str, about: str, duration_s: float) -> None:
        """Log what is over at the level that its length deserves, a boundary at the lower one; settle a full batch."""
        level = logging.DEBUG
        if duration_s > INFO_ABOVE_S:
            level = logging.WARNING if duration_s > WARNING_ABOVE_S else logging.INFO
            self._counts["alerts.warning" if level == logging.WARNING else "alerts.info"] += 1
        log.log(level, "%s%s took %.6f s", operation, about and f" {about}", duration_s)
        if len(self.figures[operation].new) >= BATCH:
            self.figures[operation].settle()

    def quantile(self, operation: str, share: float) -> float:
        """Return how long *share* of the operations took at most, in seconds: never too low, at most 9.1 % too high."""
        figures = self.figures[operation].settle()
        wanted = ceil(share * figures.count)
        for bucket, count in sorted(figures.buckets.items()):
            wanted -= count
            if wanted <= 0:
                return min(figures.max_s, BOUNDS_S[bucket])
        return 0.0

    def watch(self, name: str, value: float, above: float) -> None:
        """Alert when *value* has come to lie above the limit: once, until it was at or below it."""
        if self._watched.get(name, above) <= above < value:
            self._counts[f"alerts.{name}"] += 1
            log.warning("%s is %g, above %g", name, value, above)
        self._watched[name] = value

    def error(self, what: str, error: BaseException) -> None:
        """Log that *what* failed, with the traceback."""
        self._counts["errors_with_traceback"] += 1
        log.error("%s failed", what, exc_info=error)

    def statistics(self) -> dict[str, float]:
        """Return the figures as a flat mapping."""
        settled = {each: self.figures[each].settle() for each in (*OPERATIONS, *self.figures)}
        names = ("count", "failures", "max_s", "total_s")
        return {f"{each}.{name}": getattr(settled[each], name) for each in settled for name in names} | self._counts


class NullMonitor(Monitor):
    """Measures nothing, and is its own span; errors are logged and counted, because nobody wants to miss those."""

    def span(self, operation: str, about: str = "") -> Any:
        return self

    def __enter__(self) -> "NullMonitor":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None: ...
    def fail(self, why: str = "") -> None: ...
    def record(self, operation: str, duration_s: float, *, failed: bool = False, about: str = "") -> None: ...
    def watch(self, name: str, value: float, above: float) -> None: ...
