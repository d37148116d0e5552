"""The monitor: levels, figures, and spans that close on every path."""

from __future__ import annotations

import asyncio
import logging
from math import inf, nextafter

import pytest

from reference_loop.monitor import Monitor, NullMonitor, level_of


@pytest.mark.parametrize(
    ("duration_s", "level"),
    [
        (0.0, logging.DEBUG),
        (1.0, logging.DEBUG),
        (nextafter(1.0, inf), logging.INFO),
        (5.0, logging.INFO),
        (nextafter(5.0, inf), logging.WARNING),
    ],
)
def test_level(duration_s: float, level: int, caplog: pytest.LogCaptureFixture):
    """
    A boundary belongs to the lower level; the next number above it does not.
    """
    monitor = Monitor()
    with caplog.at_level(logging.DEBUG, "reference_loop"):
        monitor.record("model_call", duration_s, failed=False)

    assert level == level_of(duration_s)
    assert [(level, "model_call")] == [(record.levelno, record.message.split()[0]) for record in caplog.records]
    figures = monitor.statistics()
    assert (level == logging.WARNING) == figures["alerts.warning"]
    assert (level == logging.INFO) == figures["alerts.info"]


def test_silence(caplog: pytest.LogCaptureFixture):
    """
    Where a level is off, nothing is logged, and the operation is counted all the same.
    """
    monitor = Monitor()
    with caplog.at_level(logging.ERROR, "reference_loop"):
        monitor.record("model_call", 100.0, failed=False)

    assert [] == caplog.records
    assert 1 == monitor.statistics()["alerts.warning"]


@pytest.mark.parametrize("error", [None, ValueError(), asyncio.CancelledError(), KeyboardInterrupt(), SystemExit()])
def test_span_closes(error: BaseException | None):
    """
    A span closes however it is left, counts as failed when an exception leaves it, and holds none back.
    """
    monitor = Monitor()
    seen = None
    try:
        with monitor.span("tool_execution"):
            if error is not None:
                raise error
    except BaseException as left:
        seen = left

    assert seen is error
    figures = monitor.statistics()
    assert (1, int(error is not None)) == (figures["tool_execution.count"], figures["tool_execution.failures"])


def test_failure_without_exception():
    """
    An operation can fail although no exception leaves it.
    """
    monitor = Monitor()
    with monitor.span("tool_execution") as span:
        span.fail()

    assert 1 == monitor.statistics()["tool_execution.failures"]


def test_null_monitor(caplog: pytest.LogCaptureFixture):
    """
    The monitor that measures nothing still logs and counts errors.
    """
    monitor = NullMonitor()
    with monitor.span("model_call") as span:
        span.fail()
    monitor.error("something", ValueError("why"))

    figures = monitor.statistics()
    assert (0, 0, 1) == tuple(figures[n] for n in ("model_call.count", "model_call.failures", "errors_with_traceback"))
    assert ["something failed"] == [record.message for record in caplog.records]
