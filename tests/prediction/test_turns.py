"""What is taken down of each turn: exact, and known at its start nothing of the turn itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looprig import content, target
from looprig.messages import Message
from looprig.prediction.features import FEATURES, Known
from looprig.prediction.turns import Sample, samples
from looprig.scenario import PlannedCall, Round, Scenario, Turn, user_text
from looprig.suite import Settings, Step
from looprig.target import Target
from looprig.tokens import counter, message_tokens

TRIMS_OFTEN = "reference,policy=grouped,max_history_pairs=4"


@dataclass(frozen=True)
class Made:
    """A scenario file whose scenario is made already."""

    scenario: Scenario
    name: str = "made"

    @property
    def parameters(self) -> dict[str, Any]:
        return {}

    def make(self, seed: int, given: object) -> Scenario:
        return self.scenario


def step_of(scenario: Scenario, loop: Target | str = TRIMS_OFTEN) -> Step:
    found = target.find(loop) if isinstance(loop, str) else loop
    return Step(Made(scenario), scenario.seed, found, Settings())  # type: ignore[arg-type]


def played(scenario: Scenario, loop: Target | str = TRIMS_OFTEN) -> list[Sample]:
    return samples(step_of(scenario, loop))


def turn(number: int, said: str, answer: str, rounds: int) -> Turn:
    calls = (PlannedCall(name="search", inputs={"query": "x"}, result="found " * rounds),)
    return Turn(say=user_text(0, number, said), answer=answer, rounds=(Round(calls=calls),) * rounds)


TURNS = st.lists(st.tuples(st.text("ab ", max_size=200), st.text("cd ", max_size=200), st.integers(0, 4)), min_size=1)


def conversation(turns: list[tuple[str, str, int]]) -> Scenario:
    return Scenario(name="made", seed=1, turns=tuple(turn(number, *each) for number, each in enumerate(turns)))


@given(TURNS, st.data())
@settings(max_examples=20)
def test_nothing_of_the_turn_is_known(turns: list[tuple[str, str, int]], data: st.DataObject):
    """
    Whatever a turn brings after the user has spoken, and whatever comes later, what is known at its start is the same.
    """
    at = data.draw(st.integers(0, len(turns) - 1))
    others = data.draw(TURNS)
    said, answer, rounds = turns[at]
    changed = (said, answer + "!" * 400, rounds + 5)

    here = played(conversation(turns))[: at + 1]
    there = played(conversation([*turns[:at], changed, *others]))[: at + 1]

    assert [each.known for each in here] == [each.known for each in there]
    assert here[at].end != there[at].end, "the change was to make a difference to the turn"


@given(TURNS)
@settings(max_examples=20)
def test_sizes_are_those_of_the_history(turns: list[tuple[str, str, int]]):
    """
    Where a turn starts and ends is what the loop remembers then, counted message by message.
    """
    count = counter("estimate")
    seen: list[tuple[int, int]] = []
    found = target.find(TRIMS_OFTEN)

    def watched(model: Any, tools: Any, **options: Any) -> Any:
        loop = found.factory(model, tools, **found.options)
        send = loop.send

        async def counted(text: str) -> Any:
            seen.append(size(loop.history))
            answer = await send(text)
            seen.append(size(loop.history))
            return answer

        loop.send = counted
        return loop

    def size(history: tuple[Message, ...]) -> tuple[int, int]:
        return len(history), sum(message_tokens(message, count) for message in history)

    got = played(conversation(turns), replace(found, factory=watched, options={}))

    assert seen == [tuple(each) for sample in got for each in (sample.known.start, sample.end)]


@pytest.mark.parametrize("name", sorted(content.find_scenarios([content.standard("scenarios")])))
def test_standard_scenarios(name: str):
    """
    Every turn of a standard scenario is there, with all features, and starts where the one before it in its session
    ended unless the application added a system message.
    """
    file = content.find_scenario(name)
    small = {"messages": "120", "turns": "30", "rounds": "20", "depth": "1000", "sessions": "2", "conversations": "1"}
    step = Step(file, 1, target.find(TRIMS_OFTEN), Settings(parameters=small))
    turns = step.scenario().turns
    got = samples(step)
    ended: dict[int, Any] = {}

    assert len(turns) == len(got)
    for plan, sample in zip(turns, got, strict=True):
        assert len(FEATURES) == len(sample.known.features)
        assert sample.known["messages"] == sample.known.start.messages
        if not plan.system:
            assert sample.known.start == ended.get(plan.session, (0, 0))
        ended[plan.session] = sample.end


def test_a_loop_that_shows_no_history():
    """
    The history of a loop that shows none is the last request and what was said since: for one that keeps all, all.
    """
    shown = played(conversation([("hello", "yes", 1)] * 6), "reference,policy=never")

    class Hidden:
        def __init__(self, model: Any, tools: Any) -> None:
            self._loop = target.find("reference").factory(model, tools, policy="never")

        async def send(self, text: str) -> Any:
            return await self._loop.send(text)

    hidden = played(conversation([("hello", "yes", 1)] * 6), Target("hidden", Hidden, {}))

    assert [each.end for each in shown] == [each.end for each in hidden]
    assert [each.known.start for each in shown] == [each.known.start for each in hidden]


def test_a_history_of_dicts_that_change():
    """
    A loop may keep dicts and change them in place: tokens are those of now.
    """

    class Forgetful:
        def __init__(self, model: Any, tools: Any) -> None:
            self._model, self.history = model, list[dict[str, Any]]()

        async def send(self, text: str) -> str:
            for entry in self.history:
                entry["content"] = ""
            self.history.append({"role": "user", "content": text})
            reply = await self._model.acomplete([dict(entry) for entry in self.history])
            self.history.append(dict(reply))
            return str(reply["content"])

    scenario = conversation([("a" * 400, "b" * 400, 0)] * 3)
    got = played(scenario, Target("forgetful", Forgetful, {}))

    assert [2, 4, 6] == [each.end.messages for each in got]
    assert got[2].end.tokens - got[1].end.tokens < 20, "the texts of the turns before are gone"


def test_known_is_a_value():
    """
    What is known cannot be changed behind a predictor's back, and an unknown feature has no value.
    """
    (sample,) = played(conversation([("hello", "yes", 0)]))

    with pytest.raises(AttributeError):
        sample.known.turns = 7  # type: ignore[misc]
    with pytest.raises(KeyError):
        sample.known["end"]
    assert isinstance(sample.known, Known)
    assert msgspec.json.encode(sample.known)
