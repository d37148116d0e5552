"""Retained bytes grow with what a loop keeps, and with nothing else."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from looprig.content import make_scenario
from looprig.messages import Message
from looprig.retained import retained_bytes
from looprig.runner import run
from looprig.scenario import Scenario, Turn, user_text
from reference_loop import make_loop


class Keeper:
    def __init__(self, *kept: object) -> None:
        self.kept: list[object] = list(kept)

    def method(self) -> None: ...


def texts(count: int) -> list[str]:
    return [f"{number:1000}" for number in range(count)]


def test_growth():
    """
    Each text that is kept adds its size, each one more that is not kept adds nothing.
    """
    few, many = retained_bytes(Keeper(texts(10)), ()), retained_bytes(Keeper(texts(1010)), ())
    each = sys.getsizeof(texts(1)[0])

    assert 1000 * each <= many - few <= 1000 * (each + 16)


def test_frozen_values():
    """
    Messages are counted with their texts, although they are out of the garbage collector's sight.
    """
    text = "x" * 10_000

    assert retained_bytes([Message(role="user", content=text)], ()) >= sys.getsizeof(text)


def test_shared_once():
    """
    What is reached in two ways is counted once.
    """
    text = "x" * 10_000

    assert retained_bytes([[text], [text], {text: text}], ()) < 2 * sys.getsizeof(text)


def test_cycles():
    """
    A loop that refers to itself is measured, once.
    """
    keeper = Keeper("x" * 10_000)
    keeper.kept.append(keeper)
    keeper.kept.append(keeper.kept)

    assert 10_000 < retained_bytes(keeper, ()) < 12_000


def test_deep_chains():
    """
    A long chain of objects needs no recursion.
    """
    chain: list[Any] = []
    for _ in range(100_000):
        chain = [chain]

    assert 100_000 * sys.getsizeof([None]) <= retained_bytes(chain, ())


def test_methods():
    """
    A callback that is a method keeps its object alive.
    """
    assert retained_bytes([Keeper("x" * 10_000).method], ()) > 10_000


def test_closures():
    """
    Functions, classes and modules are shared by the program, and not counted.
    """
    big = "x" * 10_000

    def function() -> str:
        return big

    assert retained_bytes([sys, Keeper, function, len, function.__code__], ()) < 500


def test_apart():
    """
    What stands apart is not counted, nor is what only it keeps; what the loop keeps as well is counted.
    """
    both = "b" * 2_000
    rig = Keeper("r" * 10_000, both)
    loop = Keeper(rig, "l" * 3_000, both)

    assert 5_000 < retained_bytes(loop, (rig,)) < 6_000
    assert 15_000 < retained_bytes(loop, ()) < 17_000
    assert 0 == retained_bytes(loop, (loop,))


class Loop:
    def __init__(self, model: Any, tools: Any) -> None:
        self.model, self.tools = model, tools
        self.messages: list[Any] = []
        self.callbacks = [tools["search"].run, model.complete]

    def send(self, text: str) -> Any:
        self.messages.append({"role": "user", "content": text + "x" * 1000})
        return self.model.complete(self.messages[-1:])


class Forgetful(Loop):
    def send(self, text: str) -> Any:
        answer = super().send(text)
        self.messages.clear()
        return answer


@pytest.mark.parametrize(("loop", "least", "most"), [(Loop, 1000 * 200, 2000 * 200), (Forgetful, 0, 2000)])
def test_in_a_run(loop: type[Loop], least: int, most: int):
    """
    A run measures what the loop keeps, and not the rig that its model and tools belong to.
    """
    turns = tuple(Turn(say=user_text(0, number, "hi"), answer="x") for number in range(200))
    retained = run(Scenario(name="s", seed=1, turns=turns), loop).metrics["retained_bytes"]

    assert least <= retained <= most


def test_reference_loop():
    """
    The reference loop keeps its history: without a trim four times as much for four times as many messages.
    """

    def retained(messages: int, **more: Any) -> float:
        made = make_scenario("long_conversation", 1, {"messages": str(messages)})
        outcome = run(made, lambda model, tools: make_loop(model, tools, monitor=False, **more))
        return outcome.metrics["retained_bytes"]

    one, two, four = (retained(messages, policy="never") for messages in (500, 1000, 2000))
    assert 500 * 150 < two - one
    assert four - two == pytest.approx(2 * (two - one), rel=0.1)
    assert retained(2000, policy="grouped", max_history_pairs=10) < four / 10
