"""Runs the gate: plays the scenarios, reads the baseline, and judges."""

from __future__ import annotations

import datetime
import inspect
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from looprig.gate import baseline as baselines
from looprig.gate.baseline import Baseline
from looprig.gate.checks import Gated, Played
from looprig.gate.config import Config, ConfigError
from looprig.gate.judge import checks_of, waived
from looprig.gate.plan import Planned, find_loop, planned
from looprig.progress import Tell
from looprig.subject import LoopError
from looprig.target import Target
from looprig.version import __version__

NO_BASELINE = "none"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A gate that can start: everything that the configuration names was found."""

    config: Config
    loop: Target
    steps: Sequence[Planned]
    baseline: Baseline | None
    command: str


def prepare(config: Config, baseline: str | None = None, names: Sequence[str] = ()) -> Prepared:
    """Find what the configuration names; *baseline* stands in for the configured one.

    Raises:
        ConfigError: where something is missing or wrong, before anything ran.
    """
    wanted = baseline or config.baseline
    words = ["looprig", "gate", *names, *(["--baseline", baseline] if baseline is not None else [])]
    loop = find_loop(config)
    steps = planned(config, loop, names)
    found = None if wanted == NO_BASELINE else baselines.of_file(Path(wanted))
    if found is not None and steps:
        _must_meet(found, steps)
    return Prepared(config, loop, steps, found, shlex.join(words))


def _must_meet(baseline: Baseline, steps: Sequence[Planned]) -> None:
    """Refuse a baseline of other scenarios: a gate that compares nothing would pass for ever."""
    known = {(scenario, seed) for scenario, seed, _ in baseline.runs}
    if not any((step.file.name, step.seed) in known for _, step in steps):
        there = ", ".join(sorted({f"{scenario} seed {seed}" for scenario, seed in known})) or "nothing"
        raise ConfigError(
            f"the baseline {baseline.name} has none of these scenarios with their seeds (it has {there}); "
            f"write it anew with: looprig gate --baseline none --output json={baseline.name}"
        )


def run(prepared: Prepared, tell: Tell, *, strict: bool | None = None) -> Gated:
    """Play the scenarios and judge them.

    Raises:
        LoopError: where the loop uses looprig wrongly, so that nothing is said about it.
    """
    config = prepared.config
    played = []
    for number, (label, step) in enumerate(prepared.steps):
        outcome = step.run(tell.turn)
        if outcome.unusable:
            raise LoopError(f"{label}: {outcome.unusable}")
        played.append(Played(label, step, outcome))
        tell.step(number + 1, label)
    found = checks_of(config, played, prepared.baseline)
    names = {one.label: one.step.file.name for one in played}
    checks, notes = waived(config, found, names, datetime.datetime.now(tz=datetime.UTC).date())
    return Gated(
        loop=prepared.loop.spec,
        baseline=prepared.baseline.name if prepared.baseline else "",
        played=played,
        checks=checks,
        left_out=_left_out(prepared.baseline),
        notes=[*notes, *_versions(prepared.baseline)],
        where=_where(prepared.loop),
        strict=config.strict if strict is None else strict,
        command=prepared.command,
    )


def _left_out(baseline: Baseline | None) -> dict[str, str]:
    if baseline is None:
        return {"changes": "there is no baseline, so only invariants and limits with max or min were judged"}
    return {"CPU time": baselines.TIMES_OF_A_STORED_RUN}


def _versions(baseline: Baseline | None) -> list[str]:
    if baseline is None or baseline.version == __version__:
        return []
    return [
        f"{baseline.name} was made by looprig {baseline.version}, this is {__version__}: a scenario may have changed"
    ]


def _where(loop: Target) -> tuple[str, int] | None:
    """Return the file and line of the factory, relative to the working directory; None where it lies elsewhere."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(loop.factory))
        line = inspect.getsourcelines(inspect.unwrap(loop.factory))[1]
        return (Path(file).resolve().relative_to(Path.cwd()).as_posix(), line) if file else None
    except (OSError, TypeError, ValueError):
        return None
