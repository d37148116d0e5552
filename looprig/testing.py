"""For users' own tests: check a loop, play one scenario, or time it.

The shortest test of a loop::

    from looprig.testing import check_loop
    from myapp import MyLoop

    def test_my_loop():
        check_loop(MyLoop)          # any callable that takes (model, tools)

"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from looprig import content
from looprig.clock import RealClock, VirtualClock
from looprig.invariants import RULES
from looprig.loop import Contract
from looprig.report.figures import count
from looprig.report.table import visible
from looprig.report.text import LEGEND
from looprig.runner import Outcome, RunOptions, run
from looprig.scenario import Scenario
from looprig.subject import LoopError

Factory = Callable[[Any, Any], Any]
Setting = int | float | str | bool

__all__ = ["Factory", "LoopBroken", "check_loop", "play", "timed"]


class LoopBroken(AssertionError):
    """A loop breaks an invariant; the text shows where, why, what was sent, and how to see it again."""


def check_loop(
    factory: Factory,
    *scenarios: str | Scenario,
    seed: int = 1,
    seeds: int = 1,
    contract: Contract | None = None,
    **settings: Any,
) -> list[Outcome]:
    """Run scenarios (all standard ones, by default) against the loops that *factory* makes.

    ``settings`` are scenario parameters; each scenario takes those that it has. ``contract`` stands in for what
    the loop declares itself.

    Raises:
        LoopBroken: at the first run that breaks an invariant.
        LoopError, ContentError: where the loop cannot be driven or a scenario cannot be had.
    """
    __tracebackhide__ = True
    done = []
    for scenario in scenarios or tuple(content.find_scenarios()):
        for number in range(seed, seed + seeds):
            outcome = play(factory, scenario, seed=number, contract=contract, **settings)
            done.append(outcome)
            if outcome.broken:
                raise LoopBroken(explain(outcome, factory))
            if isinstance(scenario, Scenario):
                break
    return done


def play(
    factory: Factory,
    scenario: str | Scenario,
    *,
    seed: int = 1,
    contract: Contract | None = None,
    real_time: bool = False,
    trace: Path | None = None,
    **settings: Any,
) -> Outcome:
    """Play one scenario and return the outcome, whatever it shows.

    Raises:
        LoopError, ContentError: where the loop cannot be driven or the scenario cannot be had.
    """
    outcome = run(
        scenario_of(scenario, seed, settings),
        factory,
        loop=name_of(factory),
        clock=RealClock() if real_time else VirtualClock(),
        options=RunOptions(contract=contract, trace=trace),
    )
    if outcome.unusable:
        raise LoopError(outcome.unusable)
    return outcome


def timed(factory: Factory, scenario: str | Scenario, *, seed: int = 1, **settings: Any) -> Callable[[], None]:
    """Return a function without arguments that plays the scenario once, without judging it.

    Hand it to pytest-benchmark: ``benchmark(timed(MyLoop, "long_conversation", messages=200))``. The scenario is
    made beforehand, and in virtual time its delays cost nothing: what is timed is the loop, with the rig around it.
    """
    made = scenario_of(scenario, seed, settings)
    prepared = Scenario(name=made.name, seed=made.seed, params=made.params, turns=tuple(made.turns))

    def play_once() -> None:
        run(prepared, factory, loop=name_of(factory), options=RunOptions(judge=False))

    return play_once


def scenario_of(scenario: str | Scenario, seed: int, settings: Mapping[str, Setting]) -> Scenario:
    """Return *scenario*, or the one of that name with those of the settings that it has."""
    if isinstance(scenario, Scenario):
        return scenario
    file = content.find_scenario(scenario)
    mine = {name: str(value) for name, value in settings.items() if content.accepts(file, name)}
    return file.make(seed, mine)


def name_of(factory: Factory) -> str:
    """Return the text form of a factory, ``module:name``, where it can be imported by it; else its name."""
    module, name = getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)
    if module and name and "<" not in name:
        return f"{module}:{name}"
    return name or type(factory).__name__


def explain(outcome: Outcome, factory: Factory) -> str:
    """Return what a failing test shows: each broken invariant with its first violation, and a replay line."""
    lines = [f"the loop breaks {count(len(outcome.broken), 'invariant')} in {outcome.scenario}, seed {outcome.seed}"]
    for code in sorted(outcome.broken):
        found = next(found for found in outcome.violations if found.code == code)
        request = f", request {found.request}" if found.request is not None else ""
        lines += [
            "",
            f"{code} {found.invariant}: broken {count(outcome.broken[code], 'time')}",
            f"  {RULES[code].sentence}",
            f"  turn {found.turn}{request}: {visible(found.because)}",
        ]
        if found.shape:
            lines.append(f"  sent: {found.shape}")
    return "\n".join([*lines, "", f"({LEGEND})", _replay_line(outcome, factory)])


def _replay_line(outcome: Outcome, factory: Factory) -> str:
    settings = "".join(f" --set {name}={value}" for name, value in outcome.params.items())
    if ":" in name_of(factory) and not inspect.ismethod(factory):
        return f"replay with: looprig run {outcome.scenario} --seed {outcome.seed} --loop {name_of(factory)}{settings}"
    return f"replay with: this test again; it plays {outcome.scenario} with seed {outcome.seed}{settings}"
