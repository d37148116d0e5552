"""The record of a load run: ``summary.json``, from what was planned, what was recorded, and what the service counted.

The schema is published as ``looprig/load/summary.schema.json``, made of these very classes; a test keeps the two equal.
Times are seconds, shares are of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from looprig.exits import Exit
from looprig.load.histogram import Histogram
from looprig.load.plan import Plan
from looprig.load.readings import Readings
from looprig.load.recorded import Tally
from looprig.load.thresholds import BEYOND, METRICS, SCALARS, Judged, judge, parse, unit_of
from looprig.load.validity import Counted, Gate, gates
from looprig.version import __version__

SCHEMA = "looprig-load/1"

Outcome = Literal["pass", "slo", "invalid", "violated", "error", "nothing", "interrupted"]

EXITS: Mapping[Outcome, Exit] = {
    "pass": Exit.PASSED,
    "violated": Exit.VIOLATED,
    "slo": Exit.REGRESSED,
    "invalid": Exit.UNDECIDED,
    "error": Exit.UNDECIDED,
    "nothing": Exit.NOTHING_RAN,
    "interrupted": Exit.INTERRUPTED,
}
"""The exit code of each outcome. One that ended in an error is a load run that is not valid."""

PERCENTILES = ("p50", "p75", "p90", "p95", "p99", "p99.9")


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A metric's values. A percentile is null where fewer than five samples lie beyond it: n is too small."""

    unit: str
    count: int
    mean: float | None
    min: float | None
    max: float | None
    p50: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p99_9: float | None


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How the run came to its end; ``because`` says what went wrong."""

    how: Literal["finished", "interrupted", "error"] = "finished"
    because: str = ""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A load run: what it came to, and everything that this was told from.

    ``because`` says in sentences why the outcome is not "pass". ``thresholds`` is empty where the run is not valid: it
    gives no verdict on the service then, except that an invariant that broke is broken. ``broken`` counts violations by
    code. ``counts`` are of the whole run, ``window``, ``scalars`` and ``metrics`` of the turns that came due between
    warm-up and cool-down. ``server`` is null where the service counts nothing by itself. ``series`` are lists of one
    value a second.
    """

    outcome: Outcome
    exit_code: int
    because: Sequence[str]
    plan: Plan
    loop: str | None
    counts: Mapping[str, int]
    window: Mapping[str, int]
    failed: Mapping[str, int]
    cancelled: Mapping[str, int]
    scalars: Mapping[str, float | None]
    metrics: Mapping[str, Figures]
    validity: Sequence[Gate]
    thresholds: Sequence[Judged]
    broken: Mapping[str, int]
    server: Counted | None
    series: Mapping[str, Sequence[int]]
    began_at: float
    lasted_s: float
    span_s: float
    workers: Mapping[str, int]
    facts: Mapping[str, Mapping[str, Any]]
    machine: Mapping[str, str | int]
    looprig: str = __version__
    schema: str = SCHEMA


def summarise(
    plan: Plan,
    tally: Tally,
    *,
    machine: Mapping[str, str | int],
    server: Counted | None = None,
    ended: Ended | None = None,
    loop: str | None = None,
    late_most_s: float | None = None,
) -> Summary:
    """Return what a run comes to.

    Raises:
        ThresholdError: where one of the plan's thresholds cannot be read.
    """
    ended = ended or Ended()
    readings = Readings(plan, tally)
    rules = [parse(text) for text in plan.thresholds]
    validity = gates(plan, readings, server, late_most_s)
    judged = [judge(rule, readings) for rule in rules] if all(gate.held for gate in validity) else []
    broken = _broken(readings, server)
    outcome = _outcome(readings, ended, validity, judged, broken)
    return Summary(
        outcome=outcome,
        exit_code=EXITS[outcome],
        because=[*_because(outcome, ended, validity, judged, broken), *_given_up(readings)],
        plan=plan,
        loop=loop,
        counts={name: n for name, n in sorted(tally.counts.items()) if "/" not in name},
        window=_below("window", tally.counts),
        failed=readings.by_reason("failed"),
        cancelled=readings.by_reason("cancelled"),
        scalars={name: readings.scalar(name) for name, kind in SCALARS.items() if kind != "count"},
        metrics={name: figures(name, histogram) for name, histogram in _in_order(readings.histograms)},
        validity=validity,
        thresholds=judged,
        broken=broken,
        server=server,
        series=_series(tally),
        began_at=tally.began_at,
        lasted_s=tally.lasted_s,
        span_s=readings.span_s,
        workers={"expected": plan.workers, "seen": tally.workers_seen, "lost": tally.workers_lost},
        facts=tally.facts,
        machine=machine,
    )


def _below(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts that *prefix* begins, without it, and without those by reason."""
    found = {name.removeprefix(f"{prefix}/"): n for name, n in sorted(counts.items()) if name.startswith(f"{prefix}/")}
    return {name: n for name, n in found.items() if "/" not in name}


def _broken(readings: Readings, server: Counted | None) -> dict[str, int]:
    """Return violations by code: of the service's own account, and of the turns' end events, whichever has more."""
    found = dict(server.violations) if server is not None else {}
    for code, n in readings.by_reason("server_violations").items():
        found[code] = max(n, found.get(code, 0))
    if server is not None and server.sessions_mixed:
        found["sessions mixed"] = server.sessions_mixed
    return found


def _outcome(
    readings: Readings, ended: Ended, validity: Sequence[Gate], judged: Sequence[Judged], broken: Mapping[str, int]
) -> Outcome:
    """Return the outcome: a broken invariant goes before all else, also where the run is not valid or was cut short."""
    if broken:
        return "violated"
    if ended.how != "finished":
        return "interrupted" if ended.how == "interrupted" else "error"
    if not readings.count("offered"):
        return "nothing"
    if not all(gate.held for gate in validity):
        return "invalid"
    verdicts = {each.verdict for each in judged}
    if verdicts & {"missed", "no data"} or readings.gave_up:
        return "slo"
    return "invalid" if "too few" in verdicts else "pass"


def _because(
    outcome: Outcome, ended: Ended, validity: Sequence[Gate], judged: Sequence[Judged], broken: Mapping[str, int]
) -> list[str]:
    said = [f"{code}: broken {n:,} {'time' if n == 1 else 'times'}" for code, n in broken.items()]
    if ended.because:
        said.append(ended.because)
    if outcome == "nothing":
        said.append("no turn was offered: the run was too short for its rate, or its scenario has no turns")
    if ended.how == "finished":  # of a run that broke off some gates fail for that alone
        said += [f"{gate.seen}; the limit is {gate.limit}: {gate.remedy}" for gate in validity if not gate.held]
    said += [f"{each.rule}: {each.because}" for each in judged if each.verdict != "met"]
    return said


def _given_up(readings: Readings) -> list[str]:
    if not readings.gave_up:
        return []
    stage = readings.last_good
    level = "none was good" if stage is None else f"the last that was good went up to {max(stage.start, stage.end):g}"
    return [f"the run was given up {readings.gave_up}; of its stages {level}"]


def figures(name: str, histogram: Histogram) -> Figures:
    """Return a metric's values as they are written; *name* may have its turn's bucket in braces."""
    kind = METRICS.get(name.partition("{")[0], "length")
    percentiles = {text: told_percentile(histogram, text) for text in PERCENTILES}
    return Figures(
        unit=unit_of(kind),
        count=histogram.count,
        mean=histogram.mean,
        min=histogram.least,
        max=histogram.most,
        **{text.replace(".", "_"): value for text, value in percentiles.items()},
    )


def told_percentile(histogram: Histogram, text: str) -> float | None:
    """Return a percentile such as p99.9, None where n is too small for it."""
    beyond = 100 - float(text[1:])
    return histogram.quantile(1 - beyond / 100) if histogram.count * beyond >= BEYOND * 100 - 1e-6 else None


def _in_order(histograms: Mapping[str, Histogram]) -> list[tuple[str, Histogram]]:
    """Return metrics as `METRICS` orders them, each with its buckets of turns behind it."""
    order = {name: number for number, name in enumerate(METRICS)}

    def rank(name: str) -> tuple[int, int, str]:
        metric, _, bucket = name.partition("{turn=")
        return order.get(metric, len(order)), int(bucket.partition("-")[0].rstrip("+}") or 0) if bucket else 0, name

    return sorted(histograms.items(), key=lambda item: rank(item[0]))


def _series(tally: Tally) -> dict[str, list[int]]:
    """Return each series as a list of one value a second, from second 0 on."""
    names = sorted({name for second in tally.series.values() for name in second})
    length = max((int(float(second)) for second in tally.series), default=-1) + 1
    made = {name: [0] * length for name in names}
    for second, values in tally.series.items():
        for name, value in values.items():
            made[name][int(float(second))] += value
    return {"t": list(range(length)), **made}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `Summary`."""
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "looprig load, summary.json",
        "description": f"What a load run came to, {SCHEMA}.",
        **msgspec.json.schema(Summary),
    }
    return dict(msgspec.json.decode(msgspec.json.encode(whole)))  # defaults that are tuples become lists


if __name__ == "__main__":
    import json

    print(json.dumps(schema(), indent=2))
