"""What `check_adapter` finds in adapters that lose something, and what it leaves to the framework."""

from __future__ import annotations

from typing import Any

import pytest

from looprig.adapters import plain
from looprig.testing import FAITHFUL, AdapterUnfaithful, check_adapter


class Careless(plain.Loop):
    """An adapter with one thing wrong; each subclass says which."""

    def __init__(self, model: Any, tools: Any) -> None:
        super().__init__(model, tools, plain.run)


class NoSystem(Careless):
    def add_system(self, text: str) -> None:
        pass


class NoWayForSystem(Careless):
    add_system = None  # type: ignore[assignment]


class Retelling(Careless):
    def send(self, text: str) -> object:
        return super().send(text.upper())


class Curt(Careless):
    def send(self, text: str) -> object:
        return str(super().send(text))[:9]


class Dropping(Careless):
    """Hands on no more than the first call of a reply."""

    def __init__(self, model: Any, tools: Any) -> None:
        super().__init__(_First(model), tools)


class _First:
    def __init__(self, model: Any) -> None:
        self._model = model

    def complete(self, messages: Any) -> Any:
        reply = self._model.complete(messages)
        return {**reply, "tool_calls": reply["tool_calls"][:1]} if "tool_calls" in reply else reply


class Renaming(Careless):
    """Runs each tool with the arguments in other words."""

    def __init__(self, model: Any, tools: Any) -> None:
        super().__init__(model, {name: _Renamed(tools[name]) for name in tools})


class _Renamed:
    def __init__(self, tool: Any) -> None:
        self._tool = tool

    def run(self, arguments: Any) -> object:
        return self._tool.run({name: text if name == "ref" else text.upper() for name, text in arguments.items()})


class ResultsApart(Careless):
    """Tells the model something else than what a tool gave."""

    def __init__(self, model: Any, tools: Any) -> None:
        super().__init__(model, {name: _Done(tools[name]) for name in tools})


class _Done:
    def __init__(self, tool: Any) -> None:
        self._tool = tool

    def run(self, arguments: Any) -> object:
        self._tool.run(arguments)
        return "done"


@pytest.mark.parametrize(
    ("adapter", "code"),
    [
        (NoSystem, "LR101"),
        (NoWayForSystem, "the adapter has no add_system"),
        (Retelling, "LR131"),
        (Curt, "LR134"),
        (Dropping, "LR144"),
        (Renaming, "LR145"),
        (ResultsApart, "LR133"),
    ],
)
def test_what_an_adapter_loses(adapter: type[Careless], code: str):
    """
    What an adapter loses or changes is named by its rule, with the place and where to look.
    """
    with pytest.raises(AdapterUnfaithful, match=code) as caught:
        check_adapter(adapter)

    said = str(caught.value)
    assert code not in FAITHFUL or FAITHFUL[code] in said


def test_what_the_framework_does():
    """
    A rule that the framework breaks however it is driven is allowed by name, and stays in the outcomes.
    """
    outcomes = check_adapter(Renaming, findings=["LR145"])

    assert all("LR145" in outcome.broken for outcome in outcomes)


class Trimming(Careless):
    def send(self, text: str) -> object:
        self.history[1:-6] = []
        return super().send(text)


def test_trimming_is_no_fault_of_an_adapter():
    """
    What happens to the history is a finding of the run, not a fault of the adapter.
    """
    outcomes = check_adapter(Trimming)

    assert any(outcome.broken for outcome in outcomes)
