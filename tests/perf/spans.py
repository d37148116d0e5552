"""What a span costs beside two clock readings and beside OpenTelemetry, and how much of a turn its spans explain."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import timeit
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from contextvars import copy_context
from math import inf
from random import Random
from statistics import median
from time import perf_counter, thread_time, thread_time_ns
from typing import Any, NamedTuple

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider

from looprig.clock import VirtualClock
from looprig.messages import Message, ToolCall
from reference_loop import Config, InputError, ReferenceLoop, tool
from reference_loop.monitor import KEPT, Monitor, NullMonitor, Span
from reference_loop.otel import OtelMonitor
from tests.perf.targets import Section, Target, section, table

# ---------------------------------------------------------------------------------------------------------------------
# How much of a turn its spans explain


class Patient:
    """A model that takes its time; it gives *replies*, the last one for ever, and raises those that are errors."""

    def __init__(self, delay_s: float, replies: Sequence[Message | Exception]) -> None:
        self._delay_s = delay_s
        self._replies = list(replies)

    async def acomplete(self, messages: list[Message]) -> Message:
        await asyncio.sleep(self._delay_s)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def astream(self, messages: list[Message]) -> Any:
        raise NotImplementedError


def tools(delay_s: float) -> dict[str, Any]:
    """Return a tool that works and one that fails, each after its time."""

    @tool(category="read")
    async def works() -> str:
        """Work."""
        await asyncio.sleep(delay_s)
        return "done"

    @tool(category="read")
    async def fails() -> str:
        """Fail."""
        await asyncio.sleep(delay_s)
        raise OSError("the disk is full")

    return {"works": works, "fails": fails}


def asking(*names: str) -> Message:
    return Message(role="assistant", tool_calls=tuple(ToolCall(f"c{n}", name) for n, name in enumerate(names)))


ANSWER = Message(role="assistant", content="here you are")
REFUSED = "x" * 999_999 + "\0"
"""Refused for its last character; so long that looking at it takes as long as a model or a tool does here."""


class Exit(NamedTuple):
    """A way out of a turn; times in units of what a model or a tool takes."""

    replies: Sequence[Message | Exception]
    options: dict[str, Any] = {}  # noqa: RUF012
    text: str = "hello"
    cancel_after: float | None = None
    patience: float | None = None


EXITS = {
    "answered": Exit([asking("works", "works"), ANSWER]),
    "rounds_max reached": Exit([asking("works")], {"max_rounds": 2}),
    "the model fails": Exit([asking("works"), OSError("no route")]),
    "the model times out": Exit([ANSWER], patience=0.5),
    "a tool fails": Exit([asking("fails", "works"), ANSWER]),
    "cancelled while the model is asked": Exit([asking("works"), ANSWER], cancel_after=2.5),
    "cancelled while tools run": Exit([asking("works", "works"), ANSWER], cancel_after=1.5),
    "a text of a million characters is refused": Exit([ANSWER], {"max_input_chars": len(REFUSED)}, REFUSED),
}


async def leave(way: Exit, unit_s: float, monitor: Monitor | None = None) -> list[Span]:
    """Play a turn that ends in this way; return its span, and those of its direct children."""
    monitor = monitor or Monitor()
    patience = None if way.patience is None else way.patience * unit_s
    config = Config(**{"model_timeout_s": patience, **way.options})
    loop = ReferenceLoop(Patient(unit_s, way.replies), tools(unit_s), config, monitor=monitor)
    task = asyncio.ensure_future(loop.send(way.text))
    if way.cancel_after is not None:
        asyncio.get_running_loop().call_later(way.cancel_after * unit_s, task.cancel)
    with suppress(InputError, asyncio.CancelledError):
        await task
    turn = monitor.recent[-1]
    assert turn.operation == "complete_iteration"
    return [turn, *(span for span in monitor.recent if span.parent is turn)]


def explained(spans: Sequence[Span]) -> float:
    """Return the share of a turn's time that its direct children explain."""
    turn, *children = spans
    return sum(child.duration_s for child in children) / turn.duration_s


@contextmanager
def logged_into_memory() -> Iterator[None]:
    """Let the loop write its log, as it would anywhere, but to where nobody sees it."""
    log, handler = logging.getLogger("reference_loop"), logging.StreamHandler(io.StringIO())
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.propagate = True
        log.removeHandler(handler)


def shares(unit_s: float, turns: int) -> dict[str, float]:
    """Return the share that is explained of a turn of each way out, in real time: the median of so many turns."""

    async def often(way: Exit) -> float:
        return median([explained(await leave(way, unit_s)) for _ in range(turns)])

    with logged_into_memory():
        return {name: asyncio.run(often(way)) for name, way in EXITS.items()}


# ---------------------------------------------------------------------------------------------------------------------
# What a span costs

ATTRIBUTES = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "clock"}


def tracer(*processors: SpanProcessor) -> Any:
    provider = TracerProvider()
    for processor in processors:
        provider.add_span_processor(processor)
    return provider.get_tracer("spans")


def on_virtual_clock() -> Monitor:
    """Return a monitor with a clock that is a Python function, as that of an event loop in virtual time is."""
    monitor = Monitor()
    event_loop = VirtualClock().event_loop()
    event_loop.close()
    monitor.begin(event_loop.time)
    return monitor


def statements() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return what is timed: a statement, and the names in it."""
    ours = "with monitor.span('x'): pass"
    theirs = "with tracer.start_as_current_span('execute_tool clock', attributes=ATTRIBUTES): pass"
    into_memory = SimpleSpanProcessor(InMemorySpanExporter())
    inner, virtual = Monitor(), on_virtual_clock()
    telling = OtelMonitor(tracers=TracerProvider(), meters=MeterProvider([InMemoryMetricReader()]))
    return {
        PAIR: ("perf_counter(); perf_counter()", {"perf_counter": perf_counter}),
        "a `with` around nothing": ("with nothing: pass", {"nothing": nullcontext()}),
        OFF: (ours, {"monitor": NullMonitor()}),
        FULL: (ours, {"monitor": Monitor()}),
        INNER: (ours, {"monitor": inner, "around": inner}),
        "the same in virtual time": (ours, {"monitor": virtual, "around": virtual}),
        "recorded duration": ("monitor.record('x', 0.001)", {"monitor": Monitor()}),
        "OpenTelemetry, no-op tracer": (theirs, {"tracer": NoOpTracerProvider().get_tracer("spans")}),
        SDK: (theirs, {"tracer": tracer()}),
        "OpenTelemetry SDK, processor that does nothing": (theirs, {"tracer": tracer(SpanProcessor())}),
        "OpenTelemetry SDK, exported into memory": (theirs, {"tracer": tracer(into_memory)}),
        "full span, told to the SDK with its metric": (ours, {"monitor": telling}),
    }


PAIR, OFF, FULL, INNER = "two clock readings", "span, switched off", "full span", "full span inside another"
SDK = "OpenTelemetry SDK, no processor"


def costs_ns(rounds: int, number: int) -> dict[str, float]:
    """Return what each statement costs in ns of CPU time, the loop around it taken off: the best of interleaved rounds.

    What takes more than ten times as long is done a tenth as often.
    """
    timers: dict[str, tuple[timeit.Timer, dict[str, Any]]]
    timers = {"nothing": (timeit.Timer("pass", timer=thread_time), {})}
    for name, (statement, names) in statements().items():
        timers[name] = (timeit.Timer(statement, timer=thread_time, globals={**names, "ATTRIBUTES": ATTRIBUTES}), names)
    best = dict.fromkeys(timers, inf)
    order, rng = list(timers), Random(1)
    for _ in range(rounds):
        rng.shuffle(order)  # Nobody always comes behind the one that leaves the caches cold.
        for name in order:
            timer, names = timers[name]
            often = number // 10 if "SDK" in name or "OpenTelemetry" in name else number
            best[name] = min(best[name], copy_context().run(one_round_ns, timer, names.get("around"), often))
    nothing = best.pop("nothing")
    return {name: found - nothing for name, found in best.items()}


def one_round_ns(timer: timeit.Timer, around: Monitor | None, number: int) -> float:
    with nullcontext() if around is None else around.span("turn"):
        return timer.timeit(number) / number * 1e9


def bytes_per_record() -> float:
    """Return the bytes that a record keeps alive in the ring, what it is about (a text of its own) included."""
    _kept_bytes()  # The first time also leaves what Python keeps for itself.
    return _kept_bytes()


def _kept_bytes() -> float:
    monitor = Monitor()
    monitor.statistics()  # The figures are there: they are no part of a record.
    texts = [f"tool number {number}" for number in range(KEPT)]
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for text in texts:
        with monitor.span("tool_execution", text):
            pass
    monitor.statistics()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(monitor.recent) == KEPT
    return (after - before) / KEPT + sum(map(sys.getsizeof, texts)) / KEPT


def hundred_ns() -> int:
    """Return the CPU time of 100 monitored operations, in ns: the best of many."""
    monitor, found = Monitor(), []
    for _ in range(1_000):
        started = thread_time_ns()
        for _ in range(100):
            with monitor.span("x"):
                pass
        found.append(thread_time_ns() - started)
    return min(found)


# ---------------------------------------------------------------------------------------------------------------------


def measure(rounds: int = 80, number: int = 5_000, turns: int = 31) -> Section:
    """Time spans, and play turns."""
    costs = costs_ns(rounds, number)
    pair, off, full, sdk = costs[PAIR], costs[OFF], max(costs[FULL], costs[INNER]), costs[SDK]
    size, hundred = bytes_per_record(), hundred_ns()
    found = shares(0.005, turns)
    worst = min(found, key=found.__getitem__)
    targets = [
        Target("full span ÷ two clock readings", f"{full / pair:.1f}", "at most 10", full <= 10 * pair),
        Target("span of the OpenTelemetry SDK ÷ full span", f"{sdk / full:.1f}", "at least 15", sdk >= 15 * full),
        Target("span switched off ÷ two clock readings", f"{off / pair:.2f}", "at most 2", off <= 2 * pair),
        Target("what its spans explain of a turn, the worst way out", f"{found[worst]:.2%}", "at least 99 %",
               found[worst] >= 0.99),
        Target("100 monitored operations", f"{hundred:,} ns, {hundred / 100:,.0f} ns each", "in ns", hundred > 0),
        Target("memory of a record", f"{size:.0f} B", "at most 250 B", size <= 250),
    ]  # fmt: skip
    spent = [[name, f"{cost:,.0f}", f"{cost / pair:.1f}"] for name, cost in costs.items()]
    ways = [[name, f"{share:.2%}"] for name, share in found.items()]
    return Section(
        "What a span costs, and what spans explain",
        ".venv/bin/python -m tests.perf.spans",
        targets,
        [
            table(["one of these", "ns of CPU time", "÷ two clock readings"], spent),
            table(["a turn that ends so", "time that its direct children explain"], ways),
        ],
    )


if __name__ == "__main__":
    print(section(measure()))
