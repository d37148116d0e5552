"""How long things take and how often they fail.

Time is the event loop's own monotonic clock, so that a loop under virtual time is measured
in virtual time, and a wall clock that is set back disturbs nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import TracebackType

OPERATIONS = (
    "input_validation",
    "context_injection",
    "model_call",
    "tool_execution",
    "memory_management",
    "complete_iteration",
)

WARNING_ABOVE_S = 5.0
INFO_ABOVE_S = 1.0

log = logging.getLogger("reference_loop")


def level_of(duration_s: float) -> int:
    """Return the level at which an operation of this length is logged; a boundary belongs to the lower level."""
    if duration_s > WARNING_ABOVE_S:
        return logging.WARNING
    return logging.INFO if duration_s > INFO_ABOVE_S else logging.DEBUG


class Figures:
    """The running figures of one operation; times in seconds."""

    __slots__ = ("count", "failures", "max_s", "total_s")

    def __init__(self) -> None:
        self.count = 0
        self.failures = 0
        self.total_s = 0.0
        self.max_s = 0.0


class Span:
    """One operation from its beginning to its end; a context manager.

    A class, because a generator-based context manager costs three times as much.
    """

    __slots__ = ("_failed", "_monitor", "_operation", "_started_s")

    def __init__(self, monitor: Monitor, operation: str) -> None:
        self._monitor = monitor
        self._operation = operation
        self._failed = False

    def fail(self) -> None:
        """Count the operation as failed, though no exception leaves it."""
        self._failed = True

    def __enter__(self) -> Span:
        self._started_s = self._monitor.clock()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        duration_s = self._monitor.clock() - self._started_s
        self._monitor.record(self._operation, duration_s, failed=self._failed or kind is not None)


class Monitor:
    """Collects figures and logs each operation at the level that its length deserves.

    ``clock`` returns seconds; the loop sets it to its event loop's clock at each turn.
    """

    def __init__(self) -> None:
        self.clock: Callable[[], float] = time.monotonic
        self._figures = {operation: Figures() for operation in OPERATIONS}
        self._alerts = {logging.WARNING: 0, logging.INFO: 0, logging.DEBUG: 0}
        self._errors = 0

    def span(self, operation: str, about: str = "") -> Span:
        return Span(self, operation)

    def record(self, operation: str, duration_s: float, *, failed: bool = False, about: str = "") -> None:
        """Take one finished operation into the figures, and log it."""
        figures = self._figures.get(operation) or self._figures.setdefault(operation, Figures())
        figures.count += 1
        figures.failures += failed
        figures.total_s += duration_s
        if duration_s > figures.max_s:
            figures.max_s = duration_s
        level = level_of(duration_s)
        self._alerts[level] += 1
        if log.isEnabledFor(level):
            log.log(level, "%s took %.6f s", operation, duration_s)

    def error(self, what: str, error: BaseException) -> None:
        """Log that *what* failed, with the traceback."""
        self._errors += 1
        log.error("%s failed", what, exc_info=error)

    def statistics(self) -> dict[str, float]:
        """Return the figures as a flat mapping."""
        flat: dict[str, float] = {}
        for operation, figures in self._figures.items():
            flat |= {f"{operation}.{name}": getattr(figures, name) for name in Figures.__slots__}
        alerts = {"alerts.warning": self._alerts[logging.WARNING], "alerts.info": self._alerts[logging.INFO]}
        return {**flat, **alerts, "errors_with_traceback": self._errors}


class NullMonitor(Monitor):
    """Measures nothing; errors are still logged and counted, because nobody switches those off by wish."""

    def __init__(self) -> None:
        super().__init__()
        self._span = NullSpan(self, "")

    def span(self, operation: str, about: str = "") -> Span:
        return self._span

    def record(self, operation: str, duration_s: float, *, failed: bool = False, about: str = "") -> None: ...


class NullSpan(Span):
    """The span of a monitor that measures nothing; one for all."""

    __slots__ = ()

    def __enter__(self) -> Span:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        return None
