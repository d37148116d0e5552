"""For users' own tests: check a loop, play one scenario, or time it.

The shortest test of a loop::

    from looprig.testing import check_loop
    from myapp import MyLoop

    def test_my_loop():
        check_loop(MyLoop)          # any callable that takes (model, tools)

Who drives a framework of their own tests that nothing is lost on the way with `check_adapter`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
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
from looprig.target import clock_of

Factory = Callable[[Any, Any], Any]
Setting = int | float | str | bool

__all__ = ["AdapterUnfaithful", "Factory", "LoopBroken", "check_adapter", "check_loop", "play", "timed"]


class LoopBroken(AssertionError):
    """A loop breaks an invariant; the text shows where, why, what was sent, and how to see it again."""


class AdapterUnfaithful(AssertionError):
    """An adapter loses or changes what goes through it; the text says what, where, and where to look."""


FAITHFUL: Mapping[str, str] = {
    "LR101": "add_system(text) has to bring each text into the framework, and each request to the model",
    "LR131": "convert texts, ids and arguments both ways as they are (json.dumps spells arguments as the model did)",
    "LR132": "make a loop of its own, with a memory of its own, for each call of the factory",
    "LR133": "hand each tool's result on as the framework gives it, with the id of its call",
    "LR134": "send(text) has to return the text of the model's last message",
    "LR141": "hand each result to the model with the id of its call, and no other result",
    "LR142": "run nothing by yourself: the framework runs the tools",
    "LR144": "give the framework all of looprig's tools, and all calls of a reply",
    "LR145": "hand a call's arguments to the tool as the model wrote them",
    "LR151": "see the error; looprig's tools and model raise nothing in these scenarios",
    "LR152": "see what the framework sends when it asks again",
    "LR153": "let the framework run until the model asks for no more tools; raise its own limit of rounds",
}
"""What an adapter answers for, and where to look if it does not hold; all else that a run shows is the framework's."""

ADAPTER_SCENARIOS: Mapping[str, Mapping[str, int]] = {
    "long_tool_chain": {"rounds": 12, "before": 2, "after": 2},
    "parallel_tools": {"turns": 6},
    "pending_calls": {"messages": 60},
}
"""Small enough that no framework has a reason to trim."""


def check_adapter(factory: Factory, *, findings: Collection[str] = (), **settings: Any) -> list[Outcome]:
    """Check that an adapter is faithful: every planned call runs, results reach the model, texts are unaltered.

    Told apart are the adapter and its framework. ``findings`` names codes of `FAITHFUL` that the framework itself
    breaks, however it is driven; they stay in the outcomes, as everything does that the framework does with the
    history. ``settings`` change the scenarios' sizes.

    Raises:
        AdapterUnfaithful: with what is missing, where, and where to look.
        LoopError: where the loop cannot be driven.
    """
    __tracebackhide__ = True
    real = clock_of(getattr(factory, "func", factory)) == "real"
    outcomes = [
        play(factory, name, real_time=real, **{**sizes, **settings}) for name, sizes in ADAPTER_SCENARIOS.items()
    ]
    for outcome in outcomes:
        if wrong := sorted((outcome.broken.keys() & FAITHFUL.keys()) - set(findings)):
            raise AdapterUnfaithful(_unfaithful(outcome, wrong))
    if "add_system" not in outcomes[0].offers:
        raise AdapterUnfaithful("the adapter has no add_system(text), so that no system message reaches the framework")
    for code in ("LR101", "LR133", "LR134", "LR144", "LR145"):
        if not sum(outcome.judgements[code] for outcome in outcomes):
            raise AdapterUnfaithful(f"{code} was never judged: {RULES[code].sentence} {FAITHFUL[code]}")
    return outcomes


def _unfaithful(outcome: Outcome, codes: Sequence[str]) -> str:
    lines = [f"the adapter is not faithful in {outcome.scenario}: {count(len(codes), 'rule')} broken"]
    for code in codes:
        found = next(found for found in outcome.violations if found.code == code)
        lines += [
            "",
            f"{code} {found.invariant}: broken {count(outcome.broken[code], 'time')}",
            f"  turn {found.turn}: {visible(found.because)}",
            f"  the adapter: {FAITHFUL[code]}",
        ]
    lines += ["", "where the framework itself does this, name the code in findings=(...)"]
    return "\n".join(lines)


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
