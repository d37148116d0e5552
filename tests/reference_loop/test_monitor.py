"""The monitor: levels, figures, and spans that nest, close and add up on every path."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine
from contextvars import copy_context
from math import ceil, inf, nextafter
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.clock import VirtualClock
from reference_loop import Config, MockModel, ReferenceLoop
from reference_loop.monitor import BATCH, KEPT, OPERATIONS, Monitor, NullMonitor, log
from tests.perf.spans import EXITS, bytes_per_record, leave


def in_virtual_time(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualClock().event_loop) as runner:
        return runner.run(work)


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
    with caplog.at_level(logging.DEBUG, "reference_loop"):
        monitor, now = Monitor(), iter([0.0, duration_s])
        monitor.begin(lambda: next(now))
        with monitor.span("tool_execution", "clock"):
            pass

    (record,) = caplog.records
    assert (level, f"tool_execution clock took {duration_s:.6f} s") == (record.levelno, record.message)
    figures = monitor.statistics()
    assert (level == logging.WARNING) == figures["alerts.warning"]
    assert (level == logging.INFO) == figures["alerts.info"]


def test_silence(caplog: pytest.LogCaptureFixture):
    """
    Where a level is off, nothing is logged, and the operation is counted all the same.
    """
    monitor, now = Monitor(), iter([0.0, 100.0])
    with caplog.at_level(logging.ERROR, "reference_loop"):
        monitor.begin(lambda: next(now))
        with monitor.span("model_call"):
            pass

    assert [] == caplog.records
    assert 1 == monitor.statistics()["alerts.warning"]


def test_debug_is_looked_up_for_each_turn(caplog: pytest.LogCaptureFixture):
    """
    Whoever switches DEBUG on sees the operations of the next turn, and whoever switches it off none any more.
    """
    loop = ReferenceLoop(MockModel(), {})
    said = []
    for level in (logging.INFO, logging.DEBUG, logging.INFO):
        with caplog.at_level(level, "reference_loop"):
            asyncio.run(loop.send("hello"))
        said.append([record.message.split()[0] for record in caplog.records])
        caplog.clear()

    assert [[], ["input_validation", "model_call", "complete_iteration"], []] == said


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
    assert ["" if error is None else type(error).__name__] == [span.failed for span in monitor.recent]


def test_failure_without_exception():
    """
    An operation can fail although no exception leaves it, and then says why if it knows.
    """
    monitor = Monitor()
    with monitor.span("tool_execution") as span:
        span.fail()
    with monitor.span("tool_execution") as span:
        span.fail("OSError")

    assert 2 == monitor.statistics()["tool_execution.failures"]
    assert ["_OTHER", "OSError"] == [span.failed for span in monitor.recent]


def test_null_monitor(caplog: pytest.LogCaptureFixture):
    """
    The monitor that measures nothing still logs and counts errors, and holds no exception back.
    """
    monitor = NullMonitor()
    with monitor.span("model_call") as span:
        span.fail()
    with pytest.raises(OSError, match="no route"), monitor.span("model_call"):
        raise OSError("no route")
    monitor.record("queue_wait", 100.0)
    monitor.watch("memory_utilization", 2.0, above=1.5)
    monitor.error("something", ValueError("why"))

    figures = monitor.statistics()
    assert {"errors_with_traceback": 1} == {name: value for name, value in figures.items() if value}
    assert set(Monitor().statistics()) == set(figures)
    assert ["something failed"] == [record.message for record in caplog.records]


def test_statistics():
    """
    Each operation has its four figures, also where it never happened; one that nobody named before has them as well.
    """
    monitor = Monitor()
    monitor.record("queue_wait", 0.25)
    monitor.record("queue_wait", 60.0, failed=True)
    figures = monitor.statistics()

    names = ("count", "failures", "max_s", "total_s")
    assert {f"{operation}.{name}" for operation in (*OPERATIONS, "queue_wait") for name in names} <= set(figures)
    assert (0, 0) == (figures["alerts.warning"], figures["alerts.info"])  # what it is a part of tells
    assert (2, 1, 60.0, 60.25) == tuple(figures[f"queue_wait.{name}"] for name in names)


@given(
    durations=st.lists(st.floats(0, 6_000) | st.floats(0, 1e-3) | st.just(0.0), min_size=1, max_size=2 * BATCH),
    share=st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]),
)
def test_quantile(durations: list[float], share: float):
    """
    A quantile is never below the true one, at most 9.1 % above it, and never above the longest; the rest is exact.
    """
    monitor = Monitor()
    with patch.object(log, "disabled", True):
        for duration in durations:
            monitor.record("queue_wait", duration)
    true = sorted(durations)[ceil(share * len(durations)) - 1]

    found = monitor.quantile("queue_wait", share)
    assert true <= found <= max(true * 2 ** (1 / 8) * (1 + 1e-12), 1e-7)
    assert found <= max(durations)
    figures = monitor.statistics()
    assert (len(durations), max(durations)) == (figures["queue_wait.count"], figures["queue_wait.max_s"])
    assert sum(durations) == pytest.approx(figures["queue_wait.total_s"])


def test_quantile_of_nothing():
    """
    Where nothing was measured, a quantile is 0.
    """
    assert 0 == Monitor().quantile("model_call", 0.5)


def test_alert_once_per_crossing(caplog: pytest.LogCaptureFixture):
    """
    A watched value alerts when it has come to lie above its limit, and again only after it was at or below it.
    """
    monitor = Monitor()
    counts = []
    for value in (1.6, 1.7, 1.5, 1.4, 1.6, 1.4, 1.5):
        monitor.watch("memory_utilization", value, above=1.5)
        counts.append(monitor.statistics().get("alerts.memory_utilization", 0))
    monitor.watch("another", 3, above=2)

    assert [1, 1, 1, 1, 2, 2, 2] == counts
    assert ["memory_utilization is 1.6, above 1.5"] * 2 + ["another is 3, above 2"] == [
        record.message for record in caplog.records
    ]
    assert {logging.WARNING} == {record.levelno for record in caplog.records}


@pytest.mark.parametrize(("policy", "alerts"), [("never", 1), ("grouped", 0)])
def test_alert_on_utilization(policy: str, alerts: int, caplog: pytest.LogCaptureFixture):
    """
    A history that no trim holds below its trigger raises one alert, however many turns follow.
    """
    loop = ReferenceLoop(MockModel(), {}, Config(policy=policy, max_history_pairs=1))

    async def talk() -> None:
        for _ in range(10):
            await loop.send("hello")

    asyncio.run(talk())

    assert alerts == loop.statistics().get("alerts.memory_utilization", 0)
    assert ["memory_utilization is 1.71429, above 1.5"] * alerts == [record.message for record in caplog.records]


def tree(monitor: Monitor) -> set[tuple[str, str]]:
    """The spans by what they are about, with the parent of each."""
    return {(span.about, span.parent.about if span.parent is not None else "") for span in monitor.recent}


def test_spans_nest():
    """
    A span's parent is the one that is open around it; one that is over is nobody's parent.
    """
    monitor = Monitor()
    with monitor.span("x", "turn"):
        with monitor.span("x", "first"), monitor.span("x", "inner"):
            pass
        with monitor.span("x", "second"):
            pass
    with monitor.span("x", "next turn"):
        pass

    wanted = {("turn", ""), ("first", "turn"), ("inner", "first"), ("second", "turn"), ("next turn", "")}
    assert wanted == tree(monitor)


def test_parallel_spans_are_siblings():
    """
    Tasks and threads that run at once do not take each other for parents, whatever the order in which they end.
    """
    monitor = Monitor()

    async def work(name: str, delay_s: float) -> None:
        with monitor.span("x", name):
            await asyncio.sleep(delay_s)
            with monitor.span("x", f"in {name}"):
                await asyncio.sleep(delay_s)

    def in_thread() -> None:
        with monitor.span("x", "thread"):
            pass

    async def together() -> None:
        with monitor.span("x", "round"):
            await asyncio.gather(work("a", 3), work("b", 1), work("c", 2), asyncio.to_thread(in_thread))

    in_virtual_time(together())

    siblings = {(name, "round") for name in ("a", "b", "c", "thread")}
    assert {("round", ""), *siblings, *((f"in {name}", name) for name in "abc")} == tree(monitor)


def test_span_outlives_its_parent():
    """
    What is begun after the span around it is over belongs to the next span outwards that is still open.
    """
    monitor = Monitor()

    def late() -> None:
        with monitor.span("x", "late"):
            pass

    with monitor.span("x", "turn"):
        with monitor.span("x", "round"):
            context = copy_context()
        thread = threading.Thread(target=context.run, args=(late,))
        thread.start()
        thread.join()

    assert ("late", "turn") in tree(monitor)


def test_records_are_bounded():
    """
    However many operations there were, so many spans are kept, of at most 250 bytes each, and no more durations.
    """
    monitor = Monitor()
    for number in range(10 * BATCH + 1):
        with monitor.span("tool_execution", str(number)):
            pass

    assert [str(number) for number in range(10 * BATCH + 1 - KEPT, 10 * BATCH + 1)] == [
        span.about for span in monitor.recent
    ]
    assert BATCH > len(monitor.figures["tool_execution"].new)
    assert 10 * BATCH + 1 == monitor.statistics()["tool_execution.count"]
    assert bytes_per_record() <= 250


@pytest.mark.parametrize("way", EXITS)
def test_turn_adds_up(way: str, caplog: pytest.LogCaptureFixture):
    """
    On every way out of a turn all spans are closed, and its direct children follow each other and make up all of it.
    """
    turn, *children = in_virtual_time(leave(EXITS[way], unit_s=1.0))

    assert turn.duration_s == pytest.approx(sum(child.duration_s for child in children), abs=1e-9)
    assert (turn.duration_s > 0) == ("refused" not in way)
    ends = [turn.started_s, *(child.started_s + child.duration_s for child in children)]
    assert all(begin >= end - 1e-9 for begin, end in zip([child.started_s for child in children], ends, strict=False))
    assert all(span.monitor is None for span in (turn, *children))


@pytest.mark.parametrize(
    ("way", "failed"),
    [
        ("answered", []),
        ("the model fails", ["model_call OSError"]),
        ("the model times out", ["model_call TimedOut"]),
        ("a tool fails", ["tool_execution OSError"]),
        ("cancelled while the model is asked", ["complete_iteration CancelledError", "model_call CancelledError"]),
        ("a text of a million characters is refused", ["complete_iteration InputError", "input_validation InputError"]),
    ],
)
def test_failures_of_a_turn(way: str, failed: list[str], caplog: pytest.LogCaptureFixture):
    """
    What failed in a turn says so, with the type of its error, and nothing else does.
    """
    monitor = Monitor()
    in_virtual_time(leave(EXITS[way], 1.0, monitor))

    assert failed == sorted(
        f"{span.operation} {span.failed}" for span in monitor.recent if span.failed and span.operation != "tool_round"
    )


def test_time_of_a_turn():
    """
    The loop measures in its event loop's own time.
    """
    turn, *_ = in_virtual_time(leave(EXITS["the model times out"], unit_s=1000.0))

    assert 500.0 == turn.duration_s


def test_clock_of_asyncio():
    """
    Asyncio's own clock is read without the detour; a clock of somebody else's is left as it is.
    """
    real, virtual = asyncio.new_event_loop(), VirtualClock().event_loop()
    monitor = Monitor()
    try:
        monitor.begin(real.time)
        assert time.monotonic is monitor.clock
        monitor.begin(virtual.time)
        assert virtual.time == monitor.clock
    finally:
        real.close()
        virtual.close()


def test_config_switches_the_monitor_off():
    """
    With ``monitor=False`` no operation is counted.
    """
    loop = ReferenceLoop(MockModel(), {}, Config(monitor=False))
    asyncio.run(loop.send("hello"))

    assert 0 == loop.statistics()["complete_iteration.count"]
