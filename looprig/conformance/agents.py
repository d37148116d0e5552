"""Plays a framework's agent: scenarios, the smallest size that shows each violation, and its parallel tools."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from looprig import content, suite, target, trace
from looprig.clock import RealClock, VirtualClock
from looprig.conformance.data import AgentResult, ParallelTools, Played, Smallest
from looprig.runner import Outcome, RunOptions, run
from looprig.scenario import PlannedCall, Round, Scenario, Turn, user_text
from looprig.subject import LoopError, described
from looprig.toolbox import conflict, resources
from looprig.trace import ToolEnded, ToolStarted, TurnEnded

Sizes = Mapping[str, str]

SCENARIOS: Mapping[str, Sequence[Sizes]] = {
    "long_tool_chain": [
        *({"rounds": str(rounds), "before": "0", "after": "0"} for rounds in (1, 2, 3, 5, 8, 12, 20, 30)),
        {"rounds": "30"},
    ],
    "parallel_tools": [{"turns": str(turns)} for turns in (1, 2, 3, 5, 8, 20)],
    "pending_calls": [{"messages": str(messages)} for messages in (5, 10, 20, 40, 200)],
    "repeated_ids": [{"turns": str(turns)} for turns in (1, 2, 3, 5, 8, 20)],
    "failing_tools": [{"turns": str(turns), "depth": "100"} for turns in (2, 4, 8, 16, 38)],
    "long_conversation": [{"messages": str(messages)} for messages in (5, 10, 20, 40, 200)],
}
"""The sizes of each scenario from small to large; the largest is the one whose figures stand in the tables."""

TRIMMED: Mapping[str, Sequence[str]] = {
    "agent-framework": ("keep_groups=12,in_turn=true",),
    "google-adk": ("keep_turns=5",),
    "langchain": ("trim=200",),
    "llama-index": ("token_limit=400",),
    "openai-agents": ("limit=20",),
    "pydantic-ai": ("keep=20",),
    "strands": ("window=20,per_turn=true",),
}
"""The options with which a framework's agent trims its history, beside its default."""

METRICS = (
    "turns",
    "requests",
    "messages_said",
    "messages_sent",
    "tokens_sent",
    "request_messages_peak",
    "cached_prefix_share",
    "overhead_per_message_us",
)

TURN_LIMIT_S = 15.0


def agents(framework: str) -> Iterator[str]:
    """Yield the loops of a framework, as ``--loop`` takes them: the default, and those that trim."""
    yield framework
    yield from (f"{framework},{options}" for options in TRIMMED.get(framework, ()))


def played(framework: str, spec: str, packages: Mapping[str, str]) -> AgentResult:
    """Play the agent *spec* of a framework."""
    try:
        loop = target.find(spec)
    except target.TargetError as error:
        return AgentResult(framework=framework, loop=spec, packages=packages, failed=str(error))
    clock = target.clock_of(loop.factory)
    return AgentResult(
        framework=framework,
        loop=spec,
        packages=packages,
        scenarios=[_scenario(name, sizes, loop, clock) for name, sizes in SCENARIOS.items()],
        parallel=parallel(loop, clock),
    )


def _scenario(name: str, sizes: Sequence[Sizes], loop: target.Target, clock: str) -> Played:
    """Play the largest size; where it breaks something, find the smallest size that breaks it too."""
    whole = _step(name, sizes[-1], loop, clock)
    try:
        outcome = whole.run(record=False)
    except LoopError as error:
        return Played(scenario=name, parameters=sizes[-1], unusable=str(error))
    return Played(
        scenario=name,
        parameters=sizes[-1],
        judged=sum(outcome.judgements.values()),
        broken=outcome.broken,
        smallest=_smallest(name, sizes, loop, clock, set(outcome.broken)),
        metrics={metric: outcome.metrics[metric] for metric in METRICS if metric in outcome.metrics},
        unusable=outcome.unusable or "",
    )


def _step(name: str, sizes: Sizes, loop: target.Target, clock: str) -> suite.Step:
    settings = suite.Settings(parameters=sizes, clock=clock, turn_limit_s=TURN_LIMIT_S)
    return suite.Step(content.find_scenario(name), settings.seed, loop, settings)


def _smallest(
    name: str, sizes: Sequence[Sizes], loop: target.Target, clock: str, wanted: set[str]
) -> Mapping[str, Smallest]:
    found: dict[str, Smallest] = {}
    for size in sizes:
        if not wanted - found.keys():
            break
        step = _step(name, size, loop, clock)
        try:
            outcome = step.run(record=False)
        except LoopError:
            continue
        for code in wanted & outcome.broken.keys() - found.keys():
            found[code] = _shown(step, outcome, code)
    return found


def _shown(step: suite.Step, outcome: Outcome, code: str) -> Smallest:
    violation = next(each for each in outcome.violations if each.code == code)
    command = step.replay_command().removeprefix("looprig ")
    framework = outcome.loop.partition(",")[0]
    return Smallest(
        requests=int(outcome.metrics.get("requests", 0)),
        shape=violation.shape,
        because=violation.because,
        replay=f"looprig conformance {framework} -- {command}",
    )


def parallel(loop: target.Target, clock: str) -> ParallelTools | None:
    """Say how the loop runs the calls of one round; None where that cannot be seen."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            recording = Path(folder) / "parallel.jsonl"
            scenario = content.find_scenario("parallel_tools").make(1, {"turns": "20"})
            outcome = _run(scenario, loop, clock, recording)
            conflicts, overlapping = _overlaps(list(trace.read(recording)), scenario)
    except LoopError:
        return None
    return ParallelTools(
        conflicts=conflicts,
        overlapping=overlapping,
        speedup=outcome.metrics.get("parallel_speedup", 1.0),
        possible=outcome.metrics.get("parallel_speedup_possible", 1.0),
        joined=outcome.judgements.get("LR147", 0),
        out_of_order=outcome.broken.get("LR147", 0),
        sibling=sibling(loop, clock),
    )


def _run(scenario: Scenario, loop: target.Target, clock: str, recording: Path) -> Outcome:
    return run(
        scenario,
        loop.make(),
        loop=loop.spec,
        clock=RealClock() if clock == "real" else VirtualClock(),
        options=RunOptions(trace=recording, turn_limit_s=TURN_LIMIT_S),
    )


def _overlaps(events: Sequence[trace.AnyEvent], scenario: Scenario) -> tuple[int, int]:
    """Count pairs of calls of one round that conflict, and those of them that did not run one after the other."""
    started = {(each.turn, each.round, each.call): each.at_s for each in events if isinstance(each, ToolStarted)}
    ended = {(each.turn, each.round, each.call): each.at_s for each in events if isinstance(each, ToolEnded)}
    conflicts = overlapping = 0
    for number, turn in enumerate(scenario.turns):
        for at, planned in enumerate(turn.rounds):
            for (first, one), (second, other) in combinations(enumerate(planned.calls), 2):
                before, after = (number, at, first), (number, at, second)
                if before in ended and after in started and _conflict(one, other):
                    conflicts += 1
                    overlapping += started[after] < ended[before]
    return conflicts, overlapping


def _conflict(one: PlannedCall, other: PlannedCall) -> bool:
    return conflict(resources(one.name, one.inputs), resources(other.name, other.inputs))


def sibling(loop: target.Target, clock: str) -> str:
    """Say what becomes of a turn in which the second of three calls raises."""
    sound = [PlannedCall(name="search", inputs={"query": word}, result=f"found {word}") for word in ("this", "that")]
    failing = PlannedCall(name="fetch_url", inputs={"url": "https://example.org"}, outcome="raise")
    turn = Turn(say=user_text(0, 0, "look"), rounds=(Round(calls=(sound[0], failing, sound[1])),), answer="found")
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "sibling.jsonl"
        try:
            _run(Scenario(name="sibling", seed=1, turns=(turn,)), loop, clock, recording)
        except LoopError as error:
            return f"cannot be driven: {described(error)}"
        events = list(trace.read(recording))
    ran = sum(1 for each in events if isinstance(each, ToolEnded) and each.outcome == "ok")
    end = next((each for each in events if isinstance(each, TurnEnded)), None)
    told = "the model is told and answers" if end and end.status == "answered" else "the turn fails"
    return f"{told}; {ran} of 2 others ran to their end"
