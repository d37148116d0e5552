"""How a loop conducts itself beside the rules: its cost a step, how it runs the calls of a round, what a failed call
does to the others, and the smallest conversation that breaks a rule.

What is exact is counted in virtual time; the cost a step is CPU time of this machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from looprig.content import find_scenario
from looprig.observe import RequestView, TurnView, View, views
from looprig.runner import Outcome, RunOptions, run
from looprig.scenario import PlannedCall, Round, Scenario, Turn, user_text
from looprig.suite import Settings
from looprig.toolbox import conflict, resources
from looprig.trace import read

Factory = Callable[[Any, Any], Any]


class Conduct(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    ``step_us`` is the loop's own CPU time for one more round of a chain of calls, ``step_us_long`` the same five times
    as far into the chain: where it is much more, the loop's work grows with the conversation. ``conflicts`` counts
    pairs of calls of a round that touch the same thing, ``broken_conflicts`` those of them that ran together or in
    another order: where there are any, results can differ from running the calls one by one. ``in_call_order`` says
    whether results join in the order of the calls. ``failed_call`` says what became of a call that raised, and of its
    siblings.
    """

    step_us: float
    step_us_long: float
    speedup: float
    speedup_possible: float
    conflicts: int
    broken_conflicts: int
    in_call_order: bool
    failed_call: str
    siblings: str

    @property
    def as_one_by_one(self) -> bool:
        """Whether the results are those of running the calls one by one."""
        return not self.broken_conflicts


def conduct(factory: Factory, clock: str = "virtual") -> Conduct:
    """Play what shows a loop's conduct, and return what it shows.

    Raises:
        LoopError: where the loop cannot be driven.
    """
    parallel, turns = _watched(_standard("parallel_tools", turns="12"), factory, clock)
    pairs = [held for view in turns if isinstance(view, TurnView) for held in _conflicts(view)]
    failed_call, siblings = _failing(factory, clock)
    return Conduct(
        step_us=_step_us(factory, clock, 5, 25),
        step_us_long=_step_us(factory, clock, 65, 85),
        speedup=parallel.metrics.get("parallel_speedup", 0.0),
        speedup_possible=parallel.metrics.get("parallel_speedup_possible", 0.0),
        conflicts=len(pairs),
        broken_conflicts=pairs.count(False),
        in_call_order="LR147" not in parallel.broken,
        failed_call=failed_call,
        siblings=siblings,
    )


def _standard(name: str, **settings: str) -> Scenario:
    return find_scenario(name).make(1, settings)


def _play(scenario: Scenario, factory: Factory, clock: str, trace: Path | None = None, judge: bool = True) -> Outcome:
    options = RunOptions(trace=trace, judge=judge)
    return run(scenario, factory, clock=Settings(clock=clock).new_clock(), options=options)


def _watched(scenario: Scenario, factory: Factory, clock: str) -> tuple[Outcome, Iterator[View]]:
    """Return the outcome, and what was seen; a view of a request is only good until the next one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.jsonl")
        outcome = _play(scenario, factory, clock, path)
        events = list(read(path))
    return outcome, views(events)


def _step_us(factory: Factory, clock: str, short: int, long: int) -> float:
    """Return microseconds for one more round, in the chain between *short* and *long* rounds; the least of two."""
    return round(max(0.0, _least_us(factory, clock, long) - _least_us(factory, clock, short)) / (long - short), 1)


def _least_us(factory: Factory, clock: str, rounds: int) -> float:
    return min(_cost_us(factory, clock, rounds) for _ in range(2))


def _cost_us(factory: Factory, clock: str, rounds: int) -> float:
    chain = _standard("long_tool_chain", rounds=str(rounds), before="0", after="0")
    metrics = _play(chain, factory, clock, judge=False).metrics
    return metrics["overhead_per_message_us"] * metrics["messages_said"]


def _conflicts(view: TurnView) -> Iterator[bool]:
    """Yield for each pair of calls of a round that conflict whether they ran one after the other, in call order."""
    for number, planned in enumerate(view.plan.rounds):
        ran = [one for one in view.runs if one.round == number and (number, one.call) in view.ends]
        touched = {one.call: resources(one.name, planned.calls[one.call].inputs) for one in ran}
        for first in ran:
            for second in ran:
                if first.call < second.call and conflict(touched[first.call], touched[second.call]):
                    yield view.ends[number, first.call].at_s <= second.at_s


_SIBLINGS = (
    PlannedCall(name="search", inputs={"query": "slow"}, result="slow", duration_s=0.4),
    PlannedCall(name="fetch_url", inputs={"url": "x"}, result="broken", outcome="raise", duration_s=0.1),
    PlannedCall(name="read_file", inputs={"path": "x"}, result="between", duration_s=0.2),
)
_FAILING = Scenario(
    name="failing_sibling",
    seed=1,
    turns=[
        Turn(say=user_text(0, 0, "three at once"), answer="done", rounds=(Round(calls=_SIBLINGS),)),
        Turn(say=user_text(0, 1, "and now"), answer="fine", pause_s=10.0),
    ],
)


def _failing(factory: Factory, clock: str) -> tuple[str, str]:
    """Say what becomes of a call that raises, and of the two beside it."""
    told: set[str] = set()
    turn: TurnView | None = None
    for view in _watched(_FAILING, factory, clock)[1]:
        if isinstance(view, RequestView) and view.event.turn == 0:
            told |= {entry.message.tool_call_id or "" for entry in view.entries}
        elif isinstance(view, TurnView) and view.turn == 0:
            turn = view
    if turn is None or turn.ended is None:
        return "nothing was seen", "nothing was seen"
    failed = "told to the model" if "call_s0t0r0c1" in told else f"the turn {turn.ended.status}"
    return failed, _fate(turn, told)


def _fate(turn: TurnView, told: set[str]) -> str:
    if {"call_s0t0r0c0", "call_s0t0r0c2"} <= told:
        return "finish, and their results are told"
    if not {0, 2} <= {one.call for one in turn.runs}:
        return "not all are started"
    ends = [turn.ends.get((0, call)) for call in (0, 2)]
    if any(end is not None and end.outcome == "cancelled" for end in ends):
        return "are cancelled"
    over_s = turn.ended.at_s if turn.ended is not None else 0.0
    late = any(end is None or end.at_s > over_s for end in ends)
    return "run on after the turn" if late else "finish, and their results are lost"


class Smallest(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest conversation of a scenario that breaks a rule: its settings, and what was sent where it broke."""

    scenario: str
    settings: Mapping[str, int]
    messages: int
    turn: int
    because: str
    shape: str

    def words(self) -> str:
        """Return the words of a command that plays it again; the loop is missing."""
        return f"looprig run {self.scenario} " + " ".join(
            f"--set {name}={size}" for name, size in self.settings.items()
        )


def smallest(factory: Factory, code: str, clock: str = "virtual", at_most: int = 40) -> Smallest | None:
    """Return the smallest long_tool_chain in which the loop breaks rule *code*; None up to *at_most* messages."""
    for settings in _chains(at_most):
        scenario = _standard("long_tool_chain", **{name: str(size) for name, size in settings.items()})
        outcome = _play(scenario, factory, clock)
        if code in outcome.broken:
            found = next(one for one in outcome.violations if one.code == code)
            size = _size(**settings)
            return Smallest(
                scenario=scenario.name,
                settings=settings,
                messages=size,
                turn=found.turn,
                because=found.because,
                shape=found.shape,
            )
    return None


def _chains(at_most: int) -> list[Mapping[str, int]]:
    """Return settings of chains, the smallest first."""
    settings = [
        {"rounds": rounds, "before": before, "after": after}
        for rounds in range(1, at_most // 2 + 1)
        for before in range(3)
        for after in range(2)
    ]
    return sorted((one for one in settings if _size(**one) <= at_most), key=lambda one: _size(**one))


def _size(rounds: int, before: int, after: int) -> int:
    """Return how many messages are said: the system prompt, pairs, and the turn with its groups."""
    return 1 + 2 * (before + after) + 2 + 2 * rounds
