"""A monitor that tells OpenTelemetry too, in the words of its GenAI conventions; needs ``looprig[otel]``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reference_loop.monitor import Monitor, Span

try:
    from opentelemetry import metrics, trace
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("reference_loop.otel needs OpenTelemetry: pip install 'looprig[otel]'") from missing

NAMES = {
    "complete_iteration": ("invoke_agent", "gen_ai.agent.name", "gen_ai.invoke_agent.duration", (0.1, 13)),
    "model_call": ("chat", "gen_ai.request.model", "gen_ai.client.operation.duration", (0.01, 14)),
    "tool_execution": ("execute_tool", "gen_ai.tool.name", "gen_ai.execute_tool.duration", (0.01, 14)),
    "memory_management": ("loop.trim", "loop.about", "loop.trim.duration", (1e-6, 27)),
}  # span, attribute that says of what, metric, its lowest bound in seconds and how often that is doubled


class OtelMonitor(Monitor):
    """Agent, model and its provider are only names; *tracers* and *meters* are told, or else the process's own."""

    def __init__(
        self,
        agent: str = "looprig",
        model: str = "",
        provider: str = "_OTHER",
        *,
        tracers: Any = None,
        meters: Any = None,
    ) -> None:
        super().__init__()
        self._subjects = {"complete_iteration": agent, "model_call": model}
        self._provider = provider
        self._tracer = trace.get_tracer("reference_loop", tracer_provider=tracers)
        self._meter = metrics.get_meter("reference_loop", meter_provider=meters)
        self._histograms: dict[str, metrics.Histogram] = {}

    def _told(self, operation: str, about: str) -> tuple[str, dict[str, str], metrics.Histogram]:
        own = (f"loop.{operation}", "loop.about", f"loop.{operation}.duration", (1e-6, 27))
        word, key, metric, (low, count) = NAMES.get(operation, own)
        if metric not in self._histograms:
            create, bounds = self._meter.create_histogram, [low * 2**step for step in range(count)]
            self._histograms[metric] = create(metric, "s", explicit_bucket_boundaries_advisory=bounds)
        subject = self._subjects.get(operation, about)
        attributes = {"gen_ai.operation.name": word, "gen_ai.provider.name": self._provider}
        attributes |= {key: subject} if subject else {}
        return f"{word} {subject}".rstrip(), attributes, self._histograms[metric]

    @contextmanager
    def span(self, operation: str, about: str = "") -> Iterator[Span]:
        """Begin an operation; what a tool traces by itself becomes its child."""
        name, attributes, histogram = self._told(operation, about)
        kind = trace.SpanKind.CLIENT if operation == "model_call" else trace.SpanKind.INTERNAL
        told = self._tracer.start_span(name, kind=kind, attributes=attributes)
        span: Any = super().span(operation, about)
        try:
            with trace.use_span(told, record_exception=False, set_status_on_exception=False), span:
                yield span
        finally:
            if span.failed:
                attributes["error.type"] = span.failed
                told.set_attributes(attributes)
                told.set_status(trace.StatusCode.ERROR)
            told.end()
            histogram.record(span.duration_s, attributes)

    def record(self, operation: str, duration_s: float, *, failed: bool = False, about: str = "") -> None:
        super().record(operation, duration_s, failed=failed, about=about)
        _, attributes, histogram = self._told(operation, about)
        histogram.record(duration_s, attributes | ({"error.type": "_OTHER"} if failed else {}))
