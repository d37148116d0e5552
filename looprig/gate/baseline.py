"""What a run is compared with: the exact metrics of another run, from a file, from the store, or made just now.

A stored run says nothing of time. Its machine, or the hour, was another one; on shared machines that alone is worth
tens of percent. Times are judged where both sides run now, in pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from looprig.gate.config import ConfigError
from looprig.gate.limits import exact
from looprig.runner import Outcome
from looprig.store import Part, RunRecord, StoreError, open_store
from looprig.suite import Settings
from looprig.version import __version__

OF_A_STORED_RUN = "both sides have to run now, on one machine, and the baseline is a stored run"

SCHEMA_VERSIONS = (1,)

PASSED = "passed"
"""The verdict that a store has of a run that passed."""

FIRST = "looprig gate --baseline none"


class StoredValue(msgspec.Struct, frozen=True):
    """A metric's value as `looprig run --format json` writes it."""

    value: float
    exact: bool


class StoredRun(msgspec.Struct, frozen=True):
    """What of a stored run is compared; the rest of it is not read."""

    scenario: str
    seed: int
    params: dict[str, int | float | str | bool]
    metrics: dict[str, StoredValue]


class _Stored(msgspec.Struct, frozen=True):
    looprig: str
    clock: str
    tokens: str
    runs: list[StoredRun]
    schema_version: int
    error: str | None = None


Key = tuple[str, int, tuple[tuple[str, Any], ...]]
"""What makes two runs comparable: scenario, seed and parameters."""


def key_of(scenario: str, seed: int, params: Mapping[str, Any]) -> Key:
    """Return what a run is found by."""
    return scenario, seed, tuple(sorted(params.items()))


@dataclass(frozen=True, slots=True)
class Baseline:
    """Values to compare with, by run. ``name`` is how reports call it."""

    name: str
    tokens: str
    virtual: bool
    version: str
    runs: Mapping[Key, Mapping[str, float]]

    def values(self, key: Key) -> Mapping[str, float] | None:
        """Return the exact metrics of the same run, or None where the baseline has none such."""
        return self.runs.get(key)


def of_file(path: Path) -> Baseline:
    """Read the results that ``looprig run`` or ``looprig gate`` wrote with ``--format json``.

    Raises:
        ConfigError: where the file cannot be used, with what to do.
    """
    again = f"write it anew with: looprig gate --baseline none --output json={path}"
    try:
        data = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(f"there is no baseline {path}; {again}") from None
    except OSError as error:
        raise ConfigError(f"the baseline {path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"the baseline {path} is no JSON ({error}); {again}") from error
    if isinstance(data, dict) and isinstance(data.get("results"), dict):
        data = data["results"]  # of looprig gate
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version not in SCHEMA_VERSIONS:
        raise ConfigError(f"the baseline {path} has schema version {version}, which this looprig cannot read; {again}")
    try:
        stored = msgspec.convert(data, _Stored)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the baseline {path} holds no results of looprig ({error}); {again}") from error
    if stored.error is not None:
        raise ConfigError(f"the baseline {path} is of a suite that ended early ({stored.error}); {again}")
    return Baseline(str(path), stored.tokens, stored.clock == "virtual", stored.looprig, _by_key(stored.runs))


def of_outcomes(name: str, outcomes: Sequence[Outcome], settings: Settings) -> Baseline:
    """Return what runs of this very process's looprig showed."""
    virtual = settings.clock == "virtual"
    runs = {
        key_of(outcome.scenario, outcome.seed, outcome.params): {
            metric: value for metric, value in outcome.metrics.items() if exact(metric, virtual)
        }
        for outcome in outcomes
    }
    return Baseline(name, settings.tokens, virtual, __version__, runs)


def of_store(place: str, loop: str) -> Baseline:
    """Return the newest run of *loop* in a store that passed; one that failed is no measure for the next.

    Raises:
        ConfigError: where there is none, or the store cannot be read.
    """
    try:
        with open_store(place, make=False) as store:
            for run in reversed(store.runs()):
                if run.record.verdict == PASSED and run.record.kind in ("gate", "run"):
                    parts = [part for part in store.load(run.id).parts if part.loop == loop]
                    if parts:
                        return _of_record(f"run {run.id} of {store.name}", run.record, parts)
            name = store.name
    except StoreError as error:
        raise ConfigError(f"the baseline cannot be read: {error}; a first run makes it: {FIRST}") from error
    raise ConfigError(f"{name} has no run of {loop} that passed; a first run makes one: {FIRST}")


def _of_record(name: str, record: RunRecord, parts: Sequence[Part]) -> Baseline:
    runs = {
        key_of(part.scenario, seed, part.params): {
            sample.metric: (sample.values or (sample.value,))[index]
            for sample in part.samples
            # A metric that some seeds did not have cannot be told apart by seed.
            if sample.exact and len(sample.values or (sample.value,)) == len(part.seeds)
        }
        for part in parts
        for index, seed in enumerate(part.seeds)
    }
    return Baseline(name, record.tokens, record.clock == "virtual", record.looprig, runs)


def _by_key(runs: Sequence[StoredRun]) -> dict[Key, dict[str, float]]:
    return {
        key_of(run.scenario, run.seed, run.params): {
            name: value.value for name, value in run.metrics.items() if value.exact
        }
        for run in runs
    }
