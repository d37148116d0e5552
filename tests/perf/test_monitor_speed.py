"""What a span costs, under pytest-benchmark: a smoke size in every run, the full size with ``-m perf``."""

from __future__ import annotations

from typing import Any

import pytest

from reference_loop.monitor import Monitor, NullMonitor
from tests.perf.spans import EXITS, measure, statements

SIZES = [pytest.param(100, id="smoke"), pytest.param(100_000, id="full", marks=pytest.mark.perf)]


@pytest.mark.parametrize("spans", SIZES)
@pytest.mark.parametrize("kind", [Monitor, NullMonitor])
def test_spans(benchmark: Any, kind: type[Monitor], spans: int):
    """
    Spans one after the other inside another one; all of them are counted, or none.
    """

    def work() -> float:
        monitor = kind()
        with monitor.span("complete_iteration"):
            for _ in range(spans):
                with monitor.span("tool_execution", "clock"):
                    pass
        return monitor.statistics()["tool_execution.count"]

    assert (spans if kind is Monitor else 0) == benchmark(work)


@pytest.mark.parametrize("durations", SIZES)
def test_durations(benchmark: Any, durations: int):
    """
    Durations of all sizes on their way into the figures.
    """

    def work() -> float:
        monitor = Monitor()
        for number in range(durations):
            monitor.record("queue_wait", (number % 1_000) * 1e-6)
        return monitor.statistics()["queue_wait.count"]

    assert durations == benchmark(work)


def test_report():
    """
    The report names each target with what was measured, each way of measuring time, and each way out of a turn.
    """
    found = measure(rounds=1, number=20, turns=1)

    assert 6 == len(found.targets)
    costs, ways = found.tables
    assert all(name in costs for name in statements())
    assert all(name in ways for name in EXITS)
