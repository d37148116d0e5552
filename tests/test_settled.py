"""Folding up what is old changes nothing for whoever looks at a conversation."""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.invariants import Checker
from looprig.ledger import Ledger
from looprig.messages import Message, ToolCall
from looprig.observe import Entry, Observer, TurnView, View
from looprig.runner import RunOptions, run
from looprig.settled import Settled, settle
from looprig.target import find
from looprig.testing import scenario_of
from looprig.trace import Event


def conversation(turns: int) -> list[Entry]:
    """Return entries as an observer makes them: each third turn has two calls."""
    made: list[Entry] = []

    def add(message: Message, kind: Any, turn: int, owner: Entry | None = None, call: int = -1) -> Entry:
        entry = Entry(len(made), message, kind, turn, 5)
        entry.index = len(made)
        if owner is not None and owner.answered is not None:
            entry.owner, entry.call, entry.order = owner, call, owner.order
            owner.answered[call] += 1
        made.append(entry)
        return entry

    for turn in range(turns):
        add(Message("user", f"question {turn}"), "user", turn)
        if turn % 3 == 2:
            calls = (ToolCall(f"a{turn}", "search"), ToolCall(f"b{turn}", "search"))
            asking = add(Message("assistant", tool_calls=calls), "assistant", turn)
            for number, call in enumerate(calls):
                add(Message("tool", "found", tool_call_id=call.id), "result", turn, asking, number)
        add(Message("assistant", f"answer {turn}"), "assistant", turn)
    return made


def book(entries: list[Entry]) -> Ledger:
    made: Any = SimpleNamespace(
        window=[entry.message for entry in entries], positions=array("q", [entry.position for entry in entries])
    )
    ledger: Ledger = made
    return ledger


def told(entry: Entry) -> tuple[Any, ...]:
    names = ("position", "order", "message", "kind", "turn", "index", "call", "answered", "forgiven", "first_text")
    owner = entry.owner.position if entry.owner is not None else None
    return (*(getattr(entry, name) for name in names), owner)


@given(st.integers(1, 12), st.data())
def test_reads_like_the_list(turns: int, data: st.DataObject):
    """
    Whatever is folded, and however it is looked at, everything reads as it does in the list.
    """
    entries = conversation(turns)
    folded = Settled(entries)
    folded.fold(data.draw(st.integers(0, len(entries))), data.draw(st.lists(st.sampled_from(entries))), book(entries))
    bounds = st.none() | st.integers(-len(entries) - 2, len(entries) + 2)
    part = slice(data.draw(bounds), data.draw(bounds), data.draw(st.none() | st.sampled_from([1, 2, -1, -3])))
    at = data.draw(st.integers(-len(entries), len(entries) - 1))

    looks = {
        "part": lambda: [told(each) for each in folded[part]] == [told(each) for each in entries[part]],
        "one": lambda: told(folded[at]) == told(entries[at]),
        "back": lambda: list(map(told, reversed(folded))) == list(map(told, reversed(entries))),
        "all": lambda: list(map(told, folded)) == list(map(told, entries)),
        "length": lambda: len(folded) == len(entries),
    }
    for name in data.draw(st.lists(st.sampled_from(sorted(looks)), max_size=6)):
        assert looks[name](), name
        folded.fold(data.draw(st.integers(0, len(entries))), (), book(entries))


def test_identity():
    """
    An entry that somebody else holds is the same one when it is looked at again; a result's owner is the entry there.
    """
    entries = conversation(6)
    folded = Settled(entries)
    folded.fold(len(entries), entries[:2], book(entries))

    again = list(folded)

    assert all(one is other for one, other in zip(entries[:2], again, strict=False))
    assert all(entry.owner is None or again[entry.owner.index] is entry.owner for entry in again)


@pytest.mark.parametrize("bounds", [(None, None), (-1, None), (5, 3), (100, 200)])
def test_out_of_range(bounds: tuple[int | None, int | None]):
    """
    A part beyond the end is empty, and one message beyond it an error, as in a list.
    """
    entries = conversation(3)
    folded = Settled(entries)
    folded.fold(4, (), book(entries))

    assert len(entries[slice(*bounds)]) == len(folded[slice(*bounds)])
    for beyond in (len(entries), -len(entries) - 1):
        with pytest.raises(IndexError):
            folded[beyond]


class Twin:
    """Judges a run a second time, and folds up after every turn."""

    def __init__(self) -> None:
        self.checker, self._observer = Checker(), Observer()
        self.folded = 0

    def see(self, event: Event, _view: View | None) -> None:
        view = self._observer.see(event)
        if view is not None:
            self.checker.see(view)
        if isinstance(view, TurnView):
            entries = view.session.entries
            settle(view.session, book(list(entries)))
            if isinstance(view.session.entries, Settled):
                self.folded = max(self.folded, view.session.entries.folded)


LOOPS = ("reference,max_history_pairs=6", "reference,policy=seed,max_history_pairs=6", "reference,policy=masking")
SIZES = {"messages": 150, "turns": 30, "rounds": 30, "conversations": 1, "repeats": 1}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", ["pending_calls", "failing_tools", "slow_model", "repeated_ids", "many_systems"])
def test_same_verdict(name: str, loop: str):
    """
    A run is judged alike, to the number, whether its older messages are folded up between turns or not.
    """
    twin = Twin()

    outcome = run(scenario_of(name, 3, SIZES), find(loop).make(), options=RunOptions(watch=twin.see))

    assert outcome.judgements == dict(twin.checker.judgements)
    assert outcome.broken == dict(twin.checker.broken)
    assert twin.folded > 4
