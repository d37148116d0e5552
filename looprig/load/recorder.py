"""Counts what happens in one process of a load run, and adds up what several counted.

Every turn that came due ends in exactly one way: finished, failed, cancelled or dropped. So at the end
``offered = finished + failed + cancelled + dropped``; while a run goes on, the rest is in flight.

Counts are of the whole run. Those that begin with ``window/``, and all histograms, are of the turns that came due in
the window: after the warm-up, and before the cool-down. With neither, the two are the same.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from looprig.load.histogram import Histogram
from looprig.load.plan import Plan
from looprig.load.recorded import Tally
from looprig.load.turns import End, Stopwatch

__all__ = ["BUCKETED", "SLO_METRICS", "Recorder", "bucket", "merged", "plan_digest"]

BUCKETED = ("ttft", "ttft_send", "ttfo", "tpot", "e2e", "tool_chain", "trim_pause", "history_messages", "history_chars")
"""Metrics that are kept by the turn's bucket as well: with a history that grows, the aggregate hides the slope."""

SLO_METRICS = ("ttft", "ttft_send", "ttfo", "tpot", "e2e", "queue", "tool_chain", "trim_pause")
"""Metrics of one turn that an SLO can limit, in seconds."""

REASONS_MOST = 40
"""Reasons that are counted apart; an error text with a number in it must not fill the memory."""


def bucket(turn: int) -> str:
    """Return the bucket of turn number *turn* of a session, counted from 1."""
    if turn <= 1:
        return "1"
    return "2-4" if turn <= 4 else "5-9" if turn <= 9 else "10+"


def plan_digest(plan: Plan) -> str:
    """Return what tells whether two processes follow one plan."""
    return hashlib.sha256(msgspec.json.encode(plan)).hexdigest()[:16]


class Recorder:
    """The record of one process. Times are seconds from the start of the run."""

    def __init__(self, plan: Plan, name: str = "process", facts: Mapping[str, Any] | None = None) -> None:
        self._plan = plan
        self._name = name
        self._facts = dict(facts or {})
        self._counts: Counter[str] = Counter()
        self._histograms: defaultdict[str, Histogram] = defaultdict(Histogram)
        self._series: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._window = (plan.warmup_s, plan.duration_s - plan.cooldown_s if plan.duration_s else float("inf"))
        self.began_at = time.time()

    def fact(self, name: str, value: Any) -> None:
        """Note what adds up to nothing, in place of what was noted before."""
        self._facts[name] = value

    def session(self) -> None:
        """Count a session that somebody begins."""
        self._counts["sessions"] += 1

    def offered(self, due: float) -> None:
        """Count a turn that came due."""
        self._count("offered", due)
        self._series[int(due)]["offered"] += 1

    def started(self, due: float) -> None:
        """Count an offered turn that is begun."""
        self._count("started", due)

    def dropped(self, due: float) -> None:
        """Count an offered turn that is not begun, for want of room in the generator."""
        self._ended("dropped", due, due)

    def cancelled(self, due: float, now: float, reason: str) -> None:
        """Count a turn that our side broke off: its user left, or the run was over."""
        self._ended("cancelled", due, now, reason)

    def failed(self, due: float, now: float, reason: str) -> None:
        """Count a turn that did not come to its end marker."""
        self._ended("failed", due, now, reason)

    def finished(self, watch: Stopwatch, turn: int, due: float, now: float) -> dict[str, float]:
        """Count turn number *turn* (from 1) of its session, which came to its end; return its metrics."""
        metrics = watch.metrics()
        end = watch.end or End()
        self._ended("finished", due, now)
        self._count("tokens_in", due, end.input_tokens or 0)
        tokens = watch.pieces if end.output_tokens is None else end.output_tokens
        self._count("tokens_out", due, tokens)
        self._series[int(now)]["tokens_out"] += tokens
        for code in end.violations:
            self._count("server_violations", due)
            self._count(f"server_violations/{code}", due)
        if not end.violations and self._keeps_slos(metrics):
            self._count("good", due)
            self._series[int(now)]["good"] += 1
        if self._in_window(due):
            self._measure(watch, metrics, bucket(turn))
        if (ttft := metrics.get("ttft")) is not None:
            self._series[int(now)]["ttft_us"] += round(ttft * 1e6)
            self._series[int(now)]["ttft_n"] += 1
        return metrics

    def observe(self, metric: str, value: float, due: float = 0.0) -> None:
        """Add one value of a metric that belongs to no turn's end, if *due* is in the window."""
        if self._in_window(due):
            self._histograms[metric].add(max(value, 0.0))

    def sample(self, now: float, **levels: int) -> None:
        """Note levels, as of sessions open, of this second; a later sample of the same second replaces it."""
        self._series[int(now)].update({name: value - self._series[int(now)][name] for name, value in levels.items()})

    def tally(self, now: float) -> Tally:
        """Return what was recorded until *now*, as builtins that other processes can read."""
        return Tally(
            counts=dict(self._counts),
            histograms={name: histogram.to_builtins() for name, histogram in self._histograms.items()},
            series={str(second): dict(counts) for second, counts in sorted(self._series.items())},
            facts={self._name: dict(self._facts)},
            began_at=self.began_at,
            lasted_s=now,
        )

    def _measure(self, watch: Stopwatch, metrics: Mapping[str, float], where: str) -> None:
        for name, value in metrics.items():
            self._histograms[name].add(value)
            if name in BUCKETED:
                self._histograms[f"{name}{{turn={where}}}"].add(value)
        for gap in watch.icl:
            self._histograms["icl"].add(gap)

    def _keeps_slos(self, metrics: Mapping[str, float]) -> bool:
        """Say whether every limit is kept; one of a metric that the turn has no value of is not applied."""
        return all(metrics[name] <= limit for name, limit in self._plan.slos.items() if name in metrics)

    def _ended(self, how: str, due: float, now: float, reason: str = "") -> None:
        self._count(how, due)
        self._series[int(now)][how] += 1
        if reason:
            self._count(self._bounded(f"{how}/{reason}"), due)

    def _bounded(self, name: str) -> str:
        if name in self._counts or sum("/" in known for known in self._counts) < 2 * REASONS_MOST:
            return name
        return f"{name.partition('/')[0]}/another reason"

    def _count(self, name: str, due: float, count: int = 1) -> None:
        self._counts[name] += count
        if self._in_window(due):
            self._counts[f"window/{name}"] += count

    def _in_window(self, due: float) -> bool:
        return self._window[0] <= due < self._window[1]


def merged(tallies: Iterable[Tally]) -> Tally:
    """Return what several processes recorded, as if one had: exact, in whatever order.

    Raises:
        ValueError: where a histogram is damaged, or of another scheme.
    """
    counts: Counter[str] = Counter()
    histograms: defaultdict[str, Histogram] = defaultdict(Histogram)
    series: defaultdict[str, Counter[str]] = defaultdict(Counter)
    facts: dict[str, dict[str, Any]] = {}
    seen = lost = 0
    began: list[float] = []
    lasted = 0.0
    for tally in tallies:
        counts.update(tally.counts)
        for name, data in tally.histograms.items():
            histograms[name].merge(Histogram.from_builtins(data))
        for second, some in tally.series.items():
            series[second].update(some)
        facts.update(tally.facts)
        seen += tally.workers_seen
        lost += tally.workers_lost
        began += [tally.began_at] if tally.began_at else []
        lasted = max(lasted, tally.lasted_s)
    return Tally(
        counts=dict(sorted(counts.items())),
        histograms={name: histograms[name].to_builtins() for name in sorted(histograms)},
        series={second: dict(sorted(series[second].items())) for second in sorted(series, key=int)},
        facts=dict(sorted(facts.items())),
        workers_seen=seen,
        workers_lost=lost,
        began_at=min(began, default=0.0),
        lasted_s=lasted,
    )
