"""Whether a load run measured the service and not itself: gates that are asked before any threshold.

Why each is there was measured (a generator on two cores beside the service): the p99 of how late a heartbeat of 10 ms
comes predicts the error of the p99 of latencies within a factor of two; arrivals that were dropped, or a worker that
was lost, leave less load than was asked for, and the latencies look better for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from looprig.load.arrivals import schedule
from looprig.load.plan import Plan
from looprig.load.readings import Readings
from looprig.load.thresholds import ThresholdError, parse, shown

LATE_MOST_S = 0.005
"""How late the generator may be, p99, where no SLO is so tight that less is asked of it."""

LATE_SHARE = 0.05
"""The share of the tightest SLO that the generator's lateness may be."""

ENDED_LEAST = 0.99
"""The share of offered turns that have to come to an end; one that failed has."""

RATE_OFF = 0.02
"""By which share fewer sessions may have arrived than the seeded schedule holds."""

FILES_SPARE = 64
"""Open files that a process needs beside one for each turn in flight."""

FILES_UNEVEN = 1.5
"""How much more than its even part of the turns in flight a process may have."""

LATE_METRICS = ("ttft", "ttft_send", "ttfo", "e2e", "icl", "queue")
"""Durations that the generator's lateness goes into in full; TPOT is a mean of many gaps, in which it cancels out."""


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that has to be so for a run to mean something; ``remedy`` says what to do where it is not."""

    name: str
    held: bool
    seen: str
    limit: str
    remedy: str


def gates(plan: Plan, readings: Readings, server: Counted | None, late_most_s: float | None = None) -> tuple[Gate, ...]:
    """Return every gate; ``late_most_s`` is how late the generator may be, where the user says so."""
    late = late_most_s if late_most_s is not None else late_limit(plan)
    made = [_late(readings, "gen.beat", "the generator's heartbeat", late)]
    if plan.users != "closed":
        made.append(_late(readings, "gen.send_lag", "turns sent after they were due", late))
        made.append(_dropped(readings))
    made += [_workers(plan, readings), _ended(readings)]
    made += [*_arrived(plan, readings), *_files(readings), *([_agrees(readings, server)] if server else ())]
    return tuple(made)


def late_limit(plan: Plan) -> float:
    """Return how late the generator may be, in seconds: 5 ms, or less where a limit is tighter than 100 ms."""
    limits = [limit for metric, limit in plan.slos.items() if metric in LATE_METRICS]
    for text in plan.thresholds:
        try:
            rule = parse(text)
        except ThresholdError:
            continue  # told where thresholds are judged
        if rule.metric in LATE_METRICS and rule.operator in ("<", "<="):
            limits.append(rule.limit)
    return min([LATE_MOST_S, *(LATE_SHARE * limit for limit in limits)])


def _late(readings: Readings, metric: str, what: str, limit_s: float) -> Gate:
    samples = readings.samples(metric)
    p99 = samples.quantile(0.99) if samples is not None else None
    return Gate(
        name=f"{metric}.p99",
        held=p99 is not None and p99 <= limit_s,
        seen=f"{what}: {shown(p99, 'duration')}" if p99 is not None else f"{what}: was not measured",
        limit=f"at most {shown(limit_s, 'duration')}",
        remedy="give the generator a core of its own: fewer sessions a process (--processes N), a lower rate, or "
        "another machine; --late-most TIME accepts more, and the latencies then carry it",
    )


def _dropped(readings: Readings) -> Gate:
    dropped = readings.count("dropped")
    return Gate(
        name="dropped",
        held=not dropped,
        seen=f"{dropped:,} arrivals were dropped",
        limit="0",
        remedy="raise the limit of sessions in flight, or lower the rate: what was dropped is load that never came",
    )


def _workers(plan: Plan, readings: Readings) -> Gate:
    seen, lost = readings.tally.workers_seen, readings.tally.workers_lost
    return Gate(
        name="workers",
        held=not lost and seen >= plan.workers,
        seen=f"{seen} of {plan.workers} processes made load, {lost} were lost",
        limit=f"{plan.workers}, none lost",
        remedy="see why the process or its link died (its standard error; memory; the network), and run again",
    )


def _ended(readings: Readings) -> Gate:
    """Ask that turns came to an end of their own: one that failed did, and one whose user left; not one that we broke
    off. A service that fails them all misses its error rate, in a run that is valid.
    """
    offered = readings.count("offered")
    ended = sum(readings.count(name) for name in ("finished", "failed", "cancelled/abandoned"))
    share = ended / offered if offered else 0.0
    return Gate(
        name="ended",
        held=share >= ENDED_LEAST,
        seen=f"{ended:,} of {offered:,} offered turns came to an end ({math.floor(share * 1000) / 10:g} %)",
        limit=f"at least {ENDED_LEAST:.0%}",
        remedy="turns that never ended are the slow ones, so that latencies look better than they are: wait longer "
        "at the end (--drain TIME), or lower the rate",
    )


def _arrived(plan: Plan, readings: Readings) -> Iterator[Gate]:
    if plan.users == "closed" or readings.gave_up:
        return
    asked, came = scheduled(plan), readings.count("sessions")
    lasted = plan.duration_s or readings.span_s or 1.0
    yield Gate(
        name="rate",
        held=came >= math.floor(asked * (1 - RATE_OFF)),
        seen=f"{came:,} of {asked:,} scheduled sessions arrived, {came / lasted:,.3g}/s",
        limit=f"at least {1 - RATE_OFF:.0%}",
        remedy="the generator did not keep up: more processes (--processes N), or a lower rate",
    )


def scheduled(plan: Plan) -> int:
    """Return how many sessions the plan's schedule holds: the very same that the generator goes by.

    Raises:
        TraceError: where its trace cannot be read.
    """
    return sum(1 for _ in schedule(plan))


def _files(readings: Readings) -> Iterator[Gate]:
    processes = sorted((name, facts) for name, facts in readings.tally.facts.items() if "open_files" in facts)
    peak = max((second.get("in_flight", 0) for second in readings.tally.series.values()), default=0)
    needed = math.ceil(FILES_UNEVEN * peak / max(1, len(processes))) + FILES_SPARE
    for process, facts in processes:
        limit = facts["open_files"]
        if limit is None:  # this system does not tell
            continue
        yield Gate(
            name=f"open files of {process}",
            held=limit >= needed,
            seen=f"at most {limit:,} may be open, and {needed:,} are needed",
            limit=f"at least {needed:,}",
            remedy="raise it before the run, as in: ulimit -n 65536",
        )


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What a service counted by itself over the run (`/v1/stats` after, less before)."""

    started: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    refused: int = 0
    sessions_opened: int = 0
    sessions_mixed: int = 0
    violations: dict[str, int] = {}
    tokens_out: int = 0
    cpu_s: float = 0.0
    rss_bytes: int = 0

    @classmethod
    def between(cls, before: dict[str, Any], after: dict[str, Any]) -> Counted:
        """Return what was counted between two answers of ``/v1/stats``; memory is that of the second."""

        def rise(*keys: str) -> Any:
            return _at(after, keys) - _at(before, keys)

        codes = {**(after.get("violations") or {})}
        earlier = before.get("violations") or {}
        return cls(
            **{name: rise("turns", name) for name in ("started", "finished", "failed", "cancelled", "refused")},
            sessions_opened=rise("sessions", "opened"),
            sessions_mixed=rise("sessions", "mixed"),
            violations={code: n - earlier.get(code, 0) for code, n in codes.items() if n > earlier.get(code, 0)},
            tokens_out=rise("tokens_out"),
            cpu_s=rise("cpu_s"),
            rss_bytes=_at(after, ("rss_bytes",)),
        )


def _at(stats: dict[str, Any], keys: tuple[str, ...]) -> Any:
    value: Any = stats
    for key in keys:
        value = value.get(key) or 0 if isinstance(value, dict) else 0
    return value


def _agrees(readings: Readings, server: Counted) -> Gate:
    """Compare with the service's own counts; what the client gave up on, or saw fail, may have ended well there."""
    ours, theirs = readings.count("finished"), server.finished
    given_up = readings.count("cancelled") + readings.count("failed")
    return Gate(
        name="server's counts",
        held=0 <= theirs - ours <= given_up,
        seen=f"{ours:,} turns finished here, {theirs:,} at the service; {given_up:,} were cancelled or failed here",
        limit="equal, but for those",
        remedy="somebody else uses the service, or turns were counted twice or not at all: run alone, and report it "
        "as a bug if it stays",
    )
