"""What the gate plays: the scenarios of the configuration, with their seeds and parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from looprig import content, target, tokens
from looprig.content import ContentError, ScenarioFile
from looprig.gate.config import FILE, TABLE, Config, ConfigError, Scenario, hint
from looprig.suite import Settings, Step
from looprig.target import Target, TargetError

Planned = tuple[str, Step]
"""A run to do, and the name that its scenario has in the reports."""


def find_loop(config: Config) -> Target:
    """Return the loop under test.

    Raises:
        ConfigError: where the text form names none.
    """
    try:
        return target.find(config.loop)
    except TargetError as error:
        raise ConfigError(f"{FILE}: {TABLE}.loop: {error}") from error


def planned(config: Config, loop: Target, names: Sequence[str] = ()) -> list[Planned]:
    """Return the runs to do; *names* are those scenarios of the configuration that alone are meant.

    Raises:
        ConfigError: where a scenario does not exist, is broken, or has no such parameter.
    """
    entries = _entries(config)
    known = {file.name for file, _ in entries}
    if absent := sorted(set(names) - known):
        raise ConfigError(f"the configuration has no scenario {absent[0]!r}; {hint(absent[0], known)}")
    _check_names(config, known)
    _count_tokens(config)
    chosen = [(file, entry) for file, entry in entries if not names or file.name in names]
    several = {file.name for file, _ in chosen if sum(file.name == other.name for other, _ in chosen) > 1}
    steps: list[Planned] = []
    for file, entry in chosen:
        settings = _settings(config, entry, loop)
        _try(file, settings)
        for seed in range(settings.seed, settings.seed + settings.seeds):
            label = [file.name]
            if file.name in several:
                label += [f"{name}={value}" for name, value in settings.parameters.items()]
            if settings.seeds > 1 or (file.name in several and entry.seed is not None):
                label.append(f"seed {seed}")
            steps.append((" ".join(label), Step(file, seed, loop, settings)))
    return steps


def _check_names(config: Config, known: Collection[str]) -> None:
    """Refuse what is said of a scenario that the configuration does not play: it would never hold."""
    named = [(f"limits.{name}", name) for name, value in config.limits.items() if not isinstance(value, str)]
    named += [
        (f"waivers[{number}].scenario", waiver.scenario)
        for number, waiver in enumerate(config.waivers)
        if waiver.scenario is not None
    ]
    for place, name in named if known else ():
        if name not in known:
            raise ConfigError(f"{FILE}: {TABLE}.{place}: there is no scenario {name!r}; {hint(name, known)}")


def _entries(config: Config) -> list[tuple[ScenarioFile, Scenario]]:
    """Return the scenario files that are meant, each with what the configuration says of it."""
    paths = [Path(path) for path in config.scenario_paths]
    try:
        known = content.find_scenarios(paths)
        wanted = ("*",) if config.scenarios is None else config.scenarios
        return [
            (file, entry)
            for number, one in enumerate(wanted)
            for entry in [one if isinstance(one, Scenario) else Scenario(name=one)]
            for file in _files(entry.name, known, paths, number)
        ]
    except ContentError as error:
        raise ConfigError(f"{FILE}: {TABLE}.scenario_paths: {error}") from error


def _files(name: str, known: Mapping[str, ScenarioFile], paths: Sequence[Path], number: int) -> Sequence[ScenarioFile]:
    if any(sign in name for sign in "*?["):
        return [file for file in known.values() if fnmatchcase(file.name, name)]
    try:
        return [content.find_scenario(name, paths)]
    except ContentError as error:
        raise ConfigError(f"{FILE}: {TABLE}.scenarios[{number}]: {error}") from error


def _settings(config: Config, entry: Scenario, loop: Target) -> Settings:
    return Settings(
        seed=config.seed if entry.seed is None else entry.seed,
        seeds=entry.seeds or config.seeds,
        parameters={name: _text(value) for name, value in entry.set.items()},
        clock="real" if "real" in (config.clock, loop.clock) else "virtual",
        tokens=config.tokens,
        turn_limit_s=config.turn_limit_s,
        providers=config.providers,
        scenario_paths=tuple(Path(path) for path in config.scenario_paths),
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _try(file: ScenarioFile, settings: Settings) -> None:
    """Make the scenario once, so that a parameter which it does not have is said before anything runs."""
    try:
        file.make(settings.seed, settings.parameters)
    except ContentError as error:
        raise ConfigError(f"{FILE}: {TABLE}.scenarios: {error}") from error


def _count_tokens(config: Config) -> None:
    try:
        tokens.counter(config.tokens)
    except tokens.TokenizerMissing as error:
        raise ConfigError(f"{FILE}: {TABLE}.tokens: {error}") from error
