"""What an invariant is: a plain function from a view to judgements.

A rule yields None for each thing that it judged and found right, and a text, the reason, for each that it
found wrong. What it yields nothing for it did not judge, and the report says so: a rule that judged nothing
has shown nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from looprig.observe import Entries, Entry, RequestView, SessionView, TurnView

Judgements = Iterator[str | None]

Of = Literal["request", "turn", "session"]

VIEWS: dict[Of, type[RequestView | TurnView | SessionView]] = {
    "request": RequestView,
    "turn": TurnView,
    "session": SessionView,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """An invariant with its stable code.

    ``twin`` is the code of the rule that asks for the good thing where this one forbids the bad one (or the
    other way round): a loop that does nothing breaks one of the two. ``source`` says where the rule is from.
    """

    code: str
    judge: Callable[[Any], Judgements]
    of: Of
    twin: str
    source: str = ""

    @property
    def name(self) -> str:
        """The sentence that must be true, as an identifier."""
        return self.judge.__name__

    @property
    def sentence(self) -> str:
        """The first line of the rule's docstring."""
        return (self.judge.__doc__ or "").strip().splitlines()[0]

    @property
    def text(self) -> str:
        """The whole docstring."""
        lines = (self.judge.__doc__ or "").strip().splitlines()
        return "\n".join(line.strip() for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Where a run breaks an invariant, and why that is a breach.

    ``request`` numbers the run's requests from 1; ``shape`` is the request in letters (see `shape`).
    """

    code: str
    invariant: str
    session: int
    turn: int
    request: int | None
    because: str
    shape: str = ""


LETTERS = {"system": "S", "note": "N", "user": "U", "assistant": "A", "result": "T", "invented": "?"}


def letter(entry: Entry) -> str:
    """Return S, N, U, A, T or ? for an entry, and C with the number of its calls for a message that asks for tools."""
    calls = len(entry.message.tool_calls)
    return f"C{calls}" if calls else LETTERS[entry.kind]


def shape(entries: Entries, at_most: int = 24) -> str:
    """Return a request in letters, the middle left out where it is long: ``S U C2 T T A``."""
    letters = [letter(entry) for entry in entries[:at_most]]
    if len(entries) > at_most:
        letters = [letter(entry) for entry in entries[: at_most - 8]]
        letters += [f"..{len(entries) - at_most}.."]
        letters += [letter(entry) for entry in entries[-8:]]
    return " ".join(letters)


def head(entry: Entry) -> Entry:
    """Return the entry that begins *entry*'s unit: for a result the message that asked for it."""
    return entry.owner if entry.owner is not None else entry


def named(entry: Entry) -> str:
    """Name an entry for a reader: what it is and of which turn."""
    if entry.kind == "result":
        return f"the result of {entry.message.tool_call_id} (turn {entry.turn})"
    if entry.message.tool_calls:
        calls = ", ".join(f"{call.name} {call.id}" for call in entry.message.tool_calls[:3])
        more = len(entry.message.tool_calls) - 3
        return f"the call of {calls}{f' and {more} more' if more > 0 else ''} (turn {entry.turn})"
    kinds = {"user": "user message", "assistant": "answer", "invented": f"{entry.message.role} message"}
    return f"the {kinds.get(entry.kind, entry.kind + ' message')} of turn {entry.turn}"
