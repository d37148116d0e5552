"""A gate as one JSON object, with its schema.

It holds the results of the run whole, so that the file is a baseline for the next one. The schema is published as
``looprig/report/gate.schema.json``; a test keeps the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from looprig.exits import Exit
from looprig.gate.checks import Check, Gated, Status
from looprig.report import gate_words as words
from looprig.report.results import Results, as_json, results
from looprig.version import __version__

SCHEMA_VERSION = 1


class ComparisonResult(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides of a metric; null where a side has no value, and where a layer decides by one value."""

    metric: str
    unit: str
    layer: str
    before: float | None
    after: float | None
    verdict: str
    ratio: float | None
    interval: tuple[float, float] | None
    method: str
    note: str


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at in one run; ``status`` is one of passed, skipped, waived, undecided, exceeded
    and broken, and ``why`` is empty only for those that passed.
    """

    scenario: str
    name: str
    status: str
    why: str
    limit: str
    times: int
    replay: str
    comparison: ComparisonResult | None


class GateResults(msgspec.Struct, frozen=True, kw_only=True):
    """What ``looprig gate --format json`` prints. ``error`` says why a gate could not start, then all else is empty.

    ``results`` are those of ``looprig run --format json``. ``quiet`` says that nobody has to read it: it passed, and
    nothing changed.
    """

    looprig: str
    exit_code: int
    verdict: str
    summary: str
    what_now: str = ""
    quiet: bool = False
    strict: bool = False
    loop: str = ""
    baseline: str | None = None
    counts: Mapping[str, int] = {}
    checks: Sequence[CheckResult] = ()
    not_judged: Mapping[str, str] = {}
    notes: Sequence[str] = ()
    results: Results | None = None
    error: str | None = None
    gate_schema_version: int = SCHEMA_VERSION


def as_data(gated: Gated) -> GateResults:
    """Return a gate as it is written."""
    return GateResults(
        looprig=__version__,
        exit_code=int(gated.exit),
        verdict=words.WORDS[gated.exit],
        summary=words.summary(gated),
        what_now=words.what_now(gated),
        quiet=words.quiet(gated),
        strict=gated.strict,
        loop=gated.loop,
        baseline=gated.baseline or None,
        counts={str(status): len(gated.of(status)) for status in Status},
        checks=[_check(check) for check in gated.checks],
        not_judged=gated.left_out,
        notes=gated.notes,
        results=_results(gated),
    )


def of_problem(text: str) -> str:
    """Return the JSON of a gate that could not start."""
    return as_json(
        GateResults(looprig=__version__, exit_code=int(Exit.USAGE), verdict="COULD NOT START", summary=text, error=text)
    )


def _results(gated: Gated) -> Results | None:
    done = [(one.step, one.outcome) for one in gated.played]
    return results(done, gated.played[0].step.settings) if done else None


def _check(check: Check) -> CheckResult:
    comparison = check.comparison
    return CheckResult(
        scenario=check.scenario,
        name=check.name,
        status=str(check.status),
        why=check.why,
        limit=check.limit,
        times=check.times,
        replay=check.replay,
        comparison=None
        if comparison is None
        else ComparisonResult(
            metric=comparison.metric,
            unit=comparison.unit,
            layer=str(comparison.layer),
            before=comparison.before,
            after=comparison.after,
            verdict=str(comparison.verdict),
            ratio=comparison.ratio,
            interval=comparison.interval,
            method=comparison.method,
            note=comparison.note,
        ),
    )


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `GateResults`."""
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "looprig gate --format json",
        "description": f"What a gate found, schema version {SCHEMA_VERSION}.",
        **msgspec.json.schema(GateResults),
    }
    return dict(msgspec.json.decode(msgspec.json.encode(whole)))  # defaults that are tuples become lists


if __name__ == "__main__":
    print(as_json(schema()))
