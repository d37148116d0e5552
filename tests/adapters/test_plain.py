"""Functions as loops."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from looprig.adapters import chat, plain
from looprig.subject import LoopError
from looprig.testing import check_adapter, play


async def in_a_new_list(messages: list[Any], model: Any, tools: Any) -> list[Any]:
    """Ask until there is an answer, in a list of its own; the calls of a reply one after another."""
    said = list(messages)
    while True:
        said.append(await model.acomplete(said))
        if not said[-1].get("tool_calls"):
            return said
        said += [chat.result(call.id, plain._result(tools, call)) for call in chat.calls_of(said[-1])]


def forgetful(messages: list[Any], model: Any, _tools: Any) -> Any:
    """Send the last two messages, whatever they are."""
    messages.append(model.complete(messages[-2:]))
    return messages[-1]


@pytest.mark.parametrize("function", [None, f"{plain.__name__}:run", in_a_new_list])
def test_adapter_is_faithful(function: Any):
    """
    The shortest loop, found by its name or not, and a coroutine function that returns the conversation, are loops.
    """
    outcomes = check_adapter(functools.partial(plain.make, function=function))

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_shortest_loop_survives_everything():
    """
    The loop that stands in the module is right, apart from running destructive calls without asking.
    """
    for scenario in ("failing_tools", "many_systems", "odd_text", "repeated_ids"):
        assert {} == play(plain.make, scenario, turns=12).broken


def test_broken_function():
    """
    What a function does wrong is found.
    """
    outcome = play(functools.partial(plain.make, function=forgetful), "long_conversation", messages=20)

    assert {"LR101", "LR104"} <= outcome.broken.keys()


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("run", "function='run' names no function: write function=module:name"),
        ("json:decoder", "function='json:decoder' is module, which cannot be called"),
        ("no_such_module:run", "No module named 'no_such_module'"),
    ],
)
def test_no_function(function: str, says: str):
    """
    A name that stands for no function is refused with what to write.
    """
    with pytest.raises(LoopError, match=says):
        play(functools.partial(plain.make, function=function), "many_systems", turns=2)
