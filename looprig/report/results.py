"""The results of a suite as one JSON object, with its schema.

The schema is published as ``looprig/report/results.schema.json``; a test keeps the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from looprig.invariants import RULES
from looprig.metrics import METRICS, VIRTUAL_TIME
from looprig.runner import Outcome
from looprig.suite import Step, machine
from looprig.version import __version__

SCHEMA_VERSION = 1


class Value(msgspec.Struct, frozen=True):
    """A metric's value; an exact one repeats to the last digit."""

    value: float
    unit: str
    exact: bool


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A broken invariant: where, why, and the command that shows it again."""

    code: str
    invariant: str
    session: int
    turn: int
    request: int | None
    because: str
    shape: str
    replay: str


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``broken`` counts all violations by code; ``violations`` holds the first 20 of each code.

    ``error`` says why a run is no verdict on the loop.
    """

    scenario: str
    loop: str
    seed: int
    params: Mapping[str, int | float | str | bool]
    digest: str
    metrics: Mapping[str, Value]
    judgements: Mapping[str, int]
    broken: Mapping[str, int]
    waived: Mapping[str, int]
    violations: Sequence[Found]
    error: str | None = None


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What ``looprig run --format json`` prints. ``error`` is set where the suite ended early."""

    looprig: str
    machine: Mapping[str, str | int]
    seed: int
    clock: str
    tokens: str
    runs: Sequence[RunResult]
    schema_version: int = SCHEMA_VERSION
    error: str | None = None


def run_result(step: Step, outcome: Outcome) -> RunResult:
    """Return an outcome as it is written."""
    replay = step.replay_command()
    virtual = step.settings.clock == "virtual"
    return RunResult(
        scenario=outcome.scenario,
        loop=outcome.loop,
        seed=outcome.seed,
        params=outcome.params,
        digest=outcome.digest,
        metrics={name: _value(name, value, virtual) for name, value in outcome.metrics.items()},
        judgements=outcome.judgements,
        broken=outcome.broken,
        waived=outcome.waived,
        violations=[
            Found(
                code=found.code,
                invariant=found.invariant,
                session=found.session,
                turn=found.turn,
                request=found.request,
                because=found.because,
                shape=found.shape,
                replay=replay,
            )
            for found in outcome.violations
        ],
        error=outcome.unusable,
    )


def _value(name: str, value: float, virtual: bool) -> Value:
    metric = METRICS[name]
    return Value(value, metric.unit, metric.exact and (virtual or name not in VIRTUAL_TIME))


def results(done: Sequence[tuple[Step, Outcome]], settings: Any, error: str | None = None) -> Results:
    """Return a whole suite as it is written."""
    return Results(
        looprig=__version__,
        machine=machine(),
        seed=settings.seed,
        clock=settings.clock,
        tokens=settings.tokens,
        runs=[run_result(step, outcome) for step, outcome in done],
        error=error,
    )


def as_json(value: object) -> str:
    """Return *value* as indented JSON; lone surrogates become ASCII escapes, so that any terminal takes it."""
    import json

    return json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=True)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `Results`."""
    made = msgspec.json.schema(Results)
    codes = sorted(RULES)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "looprig run --format json",
        "description": f"Results of looprig, schema version {SCHEMA_VERSION}. Invariant codes: {', '.join(codes)}.",
        **made,
    }


if __name__ == "__main__":
    print(as_json(schema()))
