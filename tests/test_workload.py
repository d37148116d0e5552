"""A workload plays what the runner plays, and costs next to nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from looprig import content, target
from looprig.runner import RunOptions, run
from looprig.workload import Workload, messages_of, pack, unpack

SCENARIOS = [file for file in content.find_scenarios().values() if not file.error]

SIZES = {"messages": "60", "turns": "12", "rounds": "12", "sessions": "3"}


def _small(file: content.ScenarioFile, seed: int = 1) -> Any:
    return file.make(seed, {name: value for name, value in SIZES.items() if content.accepts(file, name)})


def _overheard(factory: Callable[..., Any], heard: list[Any]) -> Callable[..., Any]:
    """Return a factory of the same loops, whose requests and answers are written into *heard*."""

    def make(model: Any, tools: Any) -> Any:
        def noted(messages: Sequence[Any]) -> list[Any]:
            heard.append([dict(entry) if isinstance(entry, dict) else entry for entry in messages])
            return list(messages)

        async def acomplete(messages: Sequence[Any]) -> Any:
            return await model.acomplete(noted(messages))

        listening = SimpleNamespace(
            complete=lambda messages: model.complete(noted(messages)),
            acomplete=acomplete,
            stream=lambda messages: model.stream(noted(messages)),
            astream=lambda messages: model.astream(noted(messages)),
        )
        return factory(listening, tools)

    return make


def _plain(model: Any, tools: Any) -> Any:
    """Return a loop over dicts that is no coroutine, and stops at the first error of a tool."""
    import json

    history: list[dict[str, Any]] = []

    def send(text: str) -> str:
        history.append({"role": "user", "content": text})
        while True:
            reply = model.complete(history[-40:])
            history.append(reply)
            for call in reply.get("tool_calls", []):
                arguments = json.loads(call["function"]["arguments"])
                if not isinstance(arguments, dict):
                    raise ValueError("no object")
                result = tools[call["function"]["name"]].run(arguments)
                history.append({"role": "tool", "tool_call_id": call["id"], "content": str(result)})
            if not reply.get("tool_calls"):
                return str(reply["content"])

    return SimpleNamespace(send=send)


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.name)
@pytest.mark.parametrize("loop", ["reference", "reference,policy=seed,max_history_pairs=5", "plain dicts"])
def test_requests_are_those_of_a_run(file: content.ScenarioFile, loop: str):
    """
    Played without the runner, the loop asks for the same things in the same order, twice.
    """
    factory = _plain if loop == "plain dicts" else target.find(loop).make()
    scenario = _small(file)
    watched: list[Any] = []
    run(scenario, _overheard(factory, watched), options=RunOptions(judge=False))
    bare: list[Any] = []
    with Workload(_overheard(factory, bare), unpack(pack(scenario))) as workload:
        workload.play()
        first, bare[:] = list(bare), []
        workload.play()

    assert watched, "the loop asked for nothing"
    assert first == watched
    assert bare == watched


def test_stops_are_called_before_their_turns():
    """
    A stop is called before the turn of its number, and the one behind the last turn at the end.
    """
    scenario = _small(content.find_scenario("long_conversation"))
    asked: list[Any] = []
    seen: list[int] = []
    stops = {number: (lambda: seen.append(len(asked))) for number in (0, 5, len(scenario.turns))}
    with Workload(_overheard(target.find("reference").make(), asked), scenario) as workload:
        workload.play(stops)

    requests = [1 + len(turn.rounds) for turn in scenario.turns]
    assert seen == [0, sum(requests[:5]), sum(requests)]


def test_messages_of_a_turn():
    """
    What a turn adds is counted from its script: the sum is what a run says was said, and the system messages.
    """
    scenario = _small(content.find_scenario("parallel_tools"))
    said = run(scenario, target.find("reference").make(), options=RunOptions(judge=False)).metrics["messages_said"]

    systems = sum(len(turn.system) for turn in scenario.turns)
    assert sum(messages_of(turn) for turn in scenario.turns) == said + systems


def test_endless_turn_is_ended():
    """
    A loop that asks for ever is stopped in each turn, and the play goes on to its end.
    """

    def make(model: Any, tools: Any) -> Any:
        def send(text: str) -> str:
            while True:
                model.complete([{"role": "user", "content": text}])

        return SimpleNamespace(send=send)

    reached: list[bool] = []
    scenario = _small(content.find_scenario("long_conversation"))
    with Workload(make, scenario) as workload:
        workload.play({len(scenario.turns): lambda: reached.append(True)})

    assert reached == [True]
