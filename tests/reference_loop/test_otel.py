"""What OpenTelemetry is told, read back from the SDK's own exporters."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from reference_loop import Config, InputError, MockModel, ReferenceLoop, mock_tools, tool
from reference_loop.otel import OtelMonitor
from tests.perf.spans import ANSWER, Patient, asking


class Told:
    """A monitor, and what it told OpenTelemetry."""

    def __init__(self) -> None:
        self._exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.monitor = OtelMonitor(
            "helper", "small-1", "acme", tracers=self.tracers, meters=MeterProvider([self._reader])
        )

    def spans(self) -> dict[str, ReadableSpan]:
        """The spans by name; of several with one name the last."""
        return {span.name: span for span in self._exporter.get_finished_spans()}

    def parents(self) -> dict[str, str]:
        """The name of each span's parent."""
        ids = {span.context.span_id: name for name, span in self.spans().items() if span.context is not None}
        return {name: ids[span.parent.span_id] for name, span in self.spans().items() if span.parent is not None}

    def metrics(self) -> dict[str, Any]:
        """The metrics by name."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data is not None else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def test_turn():
    """
    A turn is told in the words of the conventions: an agent, in it requests to a model and tools; a trim in ours.
    """
    told = Told()
    config = Config(policy="end-of-turn", max_history_pairs=0)
    loop = ReferenceLoop(MockModel(), mock_tools(), config, monitor=told.monitor)
    asyncio.run(loop.send("calculate 6*7"))
    spans = told.spans()

    shared = {"gen_ai.provider.name": "acme"}
    agent, chat, executed = (spans[name] for name in ("invoke_agent helper", "chat small-1", "execute_tool multiply"))
    assert shared | {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"} == agent.attributes
    assert shared | {"gen_ai.operation.name": "chat", "gen_ai.request.model": "small-1"} == chat.attributes
    assert shared | {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "multiply"} == executed.attributes
    assert [SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.INTERNAL] == [each.kind for each in (agent, chat, executed)]
    assert {StatusCode.UNSET} == {span.status.status_code for span in spans.values()}
    assert shared | {"gen_ai.operation.name": "loop.trim"} == spans["loop.trim"].attributes
    parents = told.parents()
    assert "invoke_agent helper" == parents["chat small-1"] == parents["loop.trim"] == parents["loop.input_validation"]
    assert "invoke_agent helper" not in parents
    assert 1 == loop.statistics()["tool_execution.count"]


def test_spans_of_a_tool_lie_within():
    """
    What a tool traces by itself is a child of its execution, in a task as in a thread.
    """
    told = Told()
    tracer = told.tracers.get_tracer("mine")

    @tool(category="read")
    async def in_task() -> str:
        """Trace."""
        with tracer.start_as_current_span("from a task"):
            await asyncio.sleep(0)
        return "done"

    @tool(category="read")
    def in_thread() -> str:
        """Trace."""
        with tracer.start_as_current_span("from a thread"):
            return "done"

    tools = {"in_task": in_task, "in_thread": in_thread}
    loop = ReferenceLoop(Patient(0, [asking("in_task", "in_thread"), ANSWER]), tools, monitor=told.monitor)
    asyncio.run(loop.send("hello"))

    parents = told.parents()
    assert "execute_tool in_task" == parents["from a task"]
    assert "execute_tool in_thread" == parents["from a thread"]


async def fails() -> str:
    """Fail."""
    raise OSError("the disk is full")


async def cancels() -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel)
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("name", "error", "play"),
    [
        (
            "execute_tool fails",
            "OSError",
            lambda monitor: ReferenceLoop(
                Patient(0, [asking("fails"), ANSWER]), {"fails": tool(category="read")(fails)}, monitor=monitor
            ).send("hello"),
        ),
        (
            "chat small-1",
            "OSError",
            lambda monitor: ReferenceLoop(Patient(0, [OSError()]), {}, monitor=monitor).send("x"),
        ),
        ("invoke_agent helper", "InputError", lambda monitor: ReferenceLoop(MockModel(), {}, monitor=monitor).send("")),
    ],
)
def test_error(name: str, error: str, play: Callable[[OtelMonitor], Any]):
    """
    What failed has the status of an error and the error's type, in its span and in its metric.
    """
    told = Told()
    with suppress(InputError):
        asyncio.run(play(told.monitor))

    span = told.spans()[name]
    assert StatusCode.ERROR == span.status.status_code
    assert span.attributes is not None
    assert error == span.attributes["error.type"]
    points = [point for metric in told.metrics().values() for point in metric.data.data_points]
    assert dict(span.attributes) in [dict(point.attributes) for point in points]


def test_cancellation():
    """
    A span that is cancelled ends, with an error that says so.
    """
    told = Told()

    async def cancelled() -> None:
        with told.monitor.span("model_call"):
            await cancels()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())

    span = told.spans()["chat small-1"]
    assert span.attributes is not None
    assert (StatusCode.ERROR, "CancelledError") == (span.status.status_code, span.attributes["error.type"])


def test_metrics():
    """
    Durations are histograms in seconds by the loop's clock, with the bounds of the conventions where they have some.
    """
    told = Told()
    now = iter([0.0, 0.5, 1.0, 1.25])
    told.monitor.begin(lambda: next(now))
    with told.monitor.span("complete_iteration"):
        pass
    with told.monitor.span("tool_execution", "clock"):
        pass
    told.monitor.record("model_call", 0.75)
    told.monitor.record("queue_wait", 0.001, about="clock")
    told.monitor.record("critical_path", 0.002, failed=True)
    metrics = told.metrics()

    bounds = {name: list(metric.data.data_points[0].explicit_bounds) for name, metric in metrics.items()}
    sums = {name: metric.data.data_points[0].sum for name, metric in metrics.items()}
    assert {
        "gen_ai.invoke_agent.duration": 0.5,
        "gen_ai.execute_tool.duration": 0.25,
        "gen_ai.client.operation.duration": 0.75,
        "loop.queue_wait.duration": 0.001,
        "loop.critical_path.duration": 0.002,
    } == sums
    assert {"s"} == {metric.unit for metric in metrics.values()}
    tools_bounds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
    assert tools_bounds == bounds["gen_ai.execute_tool.duration"] == bounds["gen_ai.client.operation.duration"]
    assert [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6] == pytest.approx(
        bounds["gen_ai.invoke_agent.duration"]
    )
    (failed,) = metrics["loop.critical_path.duration"].data.data_points
    assert "_OTHER" == failed.attributes["error.type"]
    figures = told.monitor.statistics()
    assert (0.5, 0.001) == (figures["complete_iteration.total_s"], figures["queue_wait.total_s"])


def test_without_opentelemetry():
    """
    The loop does without OpenTelemetry, and who asks for it is told what to install.
    """
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import reference_loop\n"
        "try:\n    import reference_loop.otel\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "reference_loop.otel needs OpenTelemetry: pip install 'looprig[otel]'\n" == said
