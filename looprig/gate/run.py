"""Runs the gate: plays the scenarios, reads the baseline, and judges."""

from __future__ import annotations

import datetime
import inspect
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from looprig.gate import baseline as baselines
from looprig.gate import live
from looprig.gate.baseline import Baseline
from looprig.gate.checks import Gated, Played
from looprig.gate.config import TABLE, Config, ConfigError
from looprig.gate.judge import checks_of, waived
from looprig.gate.layers import growths, lookers, not_judged
from looprig.gate.plan import Planned, find_loop, planned
from looprig.home import Party, here
from looprig.progress import Tell
from looprig.store import Part, made
from looprig.subject import LoopError
from looprig.suite import Settings
from looprig.target import Target
from looprig.verdicts import Comparison
from looprig.version import __version__

NO_BASELINE, STORE = "none", "store"

NOTHING_TO_COMPARE = "there is no baseline, so only invariants and limits with max or min were judged"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A gate that can start: everything that the configuration names was found.

    Of ``baseline`` and ``revision`` at most one is there: values that were stored, or what is played now.
    """

    config: Config
    loop: Target
    steps: Sequence[Planned]
    baseline: Baseline | None
    revision: str | None
    command: str
    nothing: str = ""
    """Why there is nothing to compare with, where there is nothing."""

    @property
    def work(self) -> int:
        """How many runs and verdicts it takes."""
        if self.revision is not None:
            return live.work(self.config, self.steps)
        return len(self.steps) + (len(self.config.growth.limits) if self.config.growth is not None else 0)


def prepare(
    config: Config, baseline: str | None = None, names: Sequence[str] = (), store: str | None = None
) -> Prepared:
    """Find what the configuration names; *baseline* stands in for the configured one, *store* is where runs are kept.

    Raises:
        ConfigError: where something is missing or wrong, before anything ran.
    """
    wanted = baseline or config.baseline
    words = ["looprig", "gate", *names, *(["--baseline", baseline] if baseline is not None else [])]
    stored, revision = _baseline(config, wanted, store)
    nothing = "" if stored or revision else NOTHING_TO_COMPARE
    if revision is not None and not live.has_gate(revision):
        nothing, revision = f"{revision} has no [{TABLE}], so there is nothing to compare with yet", None
    loop = find_loop(config) if revision is None else live.elsewhere(config.loop)
    steps = planned(config, loop, names)
    if stored is not None and steps:
        _must_meet(stored, steps)
    return Prepared(config, loop, steps, stored, revision, shlex.join(words), nothing)


def _baseline(config: Config, wanted: str, store: str | None) -> tuple[Baseline | None, str | None]:
    """Return the stored values that *wanted* names, or the git revision."""
    if wanted == NO_BASELINE:
        return None, None
    if wanted == STORE:
        if store is None:
            raise ConfigError("the baseline is the store, and --store none keeps none; name one with --store FILE")
        return baselines.of_store(store, config.loop), None
    if wanted.endswith(".json") or Path(wanted).is_file():
        return baselines.of_file(Path(wanted)), None
    return None, wanted


def _must_meet(baseline: Baseline, steps: Sequence[Planned]) -> None:
    """Refuse a baseline of other scenarios: a gate that compares nothing would pass for ever."""
    known = {(scenario, seed) for scenario, seed, _ in baseline.runs}
    if not any((step.file.name, step.seed) in known for _, step in steps):
        there = ", ".join(sorted({f"{scenario} seed {seed}" for scenario, seed in known})) or "nothing"
        raise ConfigError(
            f"the baseline {baseline.name} has none of these scenarios with their seeds (it has {there}); "
            f"make it anew with: {baselines.FIRST}"
        )


def run(
    prepared: Prepared, tell: Tell, say: Callable[[str], None] = lambda text: None, *, strict: bool | None = None
) -> Gated:
    """Play the scenarios and judge them; *say* is told what takes long before anything is played.

    Raises:
        ConfigError: where the revision to compare with cannot be had.
        LoopError: where the loop uses looprig wrongly, so that nothing is said about it.
    """
    config = prepared.config
    found = _stored(prepared, tell) if prepared.revision is None or not prepared.steps else None
    if found is None:
        assert prepared.revision is not None, "nothing was stored, so it is played now"
        found = live.run(config, prepared.revision, prepared.steps, tell, say)
    checks = [*checks_of(config, found.played, found.baseline), *found.checks]
    names = {one.label: one.step.file.name for one in found.played}
    checks, notes = waived(config, checks, names, datetime.datetime.now(tz=datetime.UTC).date())
    return Gated(
        loop=prepared.loop.spec,
        baseline=found.baseline.name if found.baseline else "",
        played=found.played,
        checks=checks,
        left_out=found.left_out,
        notes=[*found.notes, *notes],
        where=found.where,
        strict=config.strict if strict is None else strict,
        command=prepared.command,
    )


def _stored(prepared: Prepared, tell: Tell) -> live.Live:
    """Play the loop here; what it is compared with was stored, or is nothing."""
    played = []
    for number, (label, step) in enumerate(prepared.steps):
        try:
            outcome = step.run(tell.turn)
        except LoopError as error:
            raise LoopError(f"{label}: {error}") from error
        if outcome.unusable:
            raise LoopError(f"{label}: {outcome.unusable}")
        played.append(Played(label, step, outcome))
        tell.step(number + 1, label)
    why = prepared.nothing or baselines.OF_A_STORED_RUN
    wanted = [looker for looker in lookers(prepared.config) if looker.wanted != "never"]
    left_out = {"changes": why} if prepared.nothing else {one.said: why for one in wanted}
    checks = [check for one in wanted for check in not_judged(one, why, [each.label for each in played])]
    if prepared.config.growth is not None and played:
        more = live.further(tell, len(played), len(prepared.config.growth.limits))
        checks += growths(prepared.config, Party(here(), prepared.config.loop), more)
    return live.Live(played, prepared.baseline, checks, left_out, _versions(prepared.baseline), _where(prepared.loop))


def _versions(baseline: Baseline | None) -> list[str]:
    if baseline is None or baseline.version == __version__:
        return []
    return [
        f"{baseline.name} was made by looprig {baseline.version}, this is {__version__}: a scenario may have changed"
    ]


def _where(loop: Target) -> tuple[str, int | None] | None:
    """Return the file and line of the factory, relative to the working directory; None where it lies elsewhere."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(loop.factory))
        line = inspect.getsourcelines(inspect.unwrap(loop.factory))[1]
        return (Path(file).resolve().relative_to(Path.cwd()).as_posix(), line) if file else None
    except (OSError, TypeError, ValueError):
        return None


def kept(gated: Gated) -> tuple[Settings, list[Part], list[Comparison]]:
    """Return what the store keeps of a gate: the settings, a part for each scenario, and the comparisons."""
    scenarios: dict[tuple[object, ...], list[Played]] = {}
    for one in gated.played:
        scenarios.setdefault((one.outcome.scenario, tuple(sorted(one.outcome.params.items()))), []).append(one)
    parts = [made.part([one.outcome for one in ones], ones[0].step.settings) for ones in scenarios.values()]
    comparisons = [check.comparison for check in gated.checks if check.comparison is not None]
    return gated.played[0].step.settings, parts, comparisons
