"""Scenarios: what will happen in a conversation, as data with a seed.

A scenario says what the user types, which tools the model asks for, what each tool
gives back, how long everything takes and what goes wrong. Nothing here acts: only
`looprig.runner` does.

Every text of a scenario carries its *place*, a short marker such as ``[#s0t12]`` (session
0, turn 12) or ``[#s0t12r3c1]`` (round 3, call 1). The scripted model and tools read the
place from what they are handed, and need to remember nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Literal, NamedTuple, overload

import msgspec

from looprig.messages import ToolCall


class Place(NamedTuple):
    """Where in a scenario something belongs: session, turn, and for tool traffic round and call.

    Turns are numbered over the whole scenario from 0; ``round`` and ``call`` are -1 for a
    user's message.
    """

    session: int
    turn: int
    round: int = -1
    call: int = -1

    def marker(self) -> str:
        """Return the text form, which is short, ASCII, and survives any framework seen so far."""
        return f"[#{self.ref()}]"

    def ref(self) -> str:
        """Return the marker without its brackets, as tool call ids and arguments carry it."""
        if self.round < 0:
            return f"s{self.session}t{self.turn}"
        return f"s{self.session}t{self.turn}r{self.round}c{self.call}"


# At most nine digits: what a loop makes up must stay a number that a recording can hold.
_REF = re.compile(r"s(\d{1,9})t(\d{1,9})(?:r(\d{1,9})c(\d{1,9}))?", re.ASCII)


def place_in(text: str) -> Place | None:
    """Return the place of the *last* marker in *text*, or None.

    The last one, because what a loop puts in front of a text (a retrieved context, an
    earlier conversation) may carry markers of its own.
    """
    start = text.rfind("[#s")
    return place_of(text[start + 2 : start + 60]) if start >= 0 else None


def place_of(ref: str) -> Place | None:
    """Return the place that *ref* starts with, or None: ``s0t12r3c1`` or ``call_s0t12r3c1``."""
    found = _REF.match(ref.removeprefix("call_"))
    if found is None:
        return None
    session, turn, round_, call = found.groups()
    if round_ is None:
        return Place(int(session), int(turn))
    return Place(int(session), int(turn), int(round_), int(call))


Outcome = Literal["ok", "raise", "hang", "huge", "unserialisable"]
"""What a tool does when it runs: ``huge`` returns megabytes, ``unserialisable`` an object that JSON cannot hold."""


class PlannedCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tool call that the model will ask for, and what comes of it.

    ``arguments`` is the JSON text the model writes; None means well-formed arguments made
    from ``inputs`` and the call's place. ``id`` None means an id made from the place.
    ``duration_s`` is how long the tool takes. ``approve`` is what the approver answers when
    it is asked.
    """

    name: str
    inputs: Mapping[str, str] = {}
    arguments: str | None = None
    result: str = ""
    outcome: Outcome = "ok"
    duration_s: float = 0.0
    approve: bool = True
    id: str | None = None


class Round(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model reply that asks for tools."""

    calls: tuple[PlannedCall, ...]
    text: str = ""
    delay_s: float = 0.0


FaultKind = Literal["rate_limit", "server_error", "bad_request", "timeout"]


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A disturbance of the model, planned: the first ``times`` requests of a round meet it.

    ``round`` counts the model's replies in the turn from 0; the final answer is the last.
    A ``timeout`` is a reply that comes after ``delay_s``; the other kinds raise
    `looprig.loop.ModelError` with status 429, 500 or 400.
    """

    kind: FaultKind
    round: int = 0
    times: int = 1
    delay_s: float = 3600.0


class Turn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One user message and everything the script answers to it.

    ``system`` holds system messages that the application adds before the user speaks.
    ``pause_s`` is how long the user thinks before typing. ``delay_s`` is how long the model
    takes for the final answer. ``chunks`` above 1 streams each reply in so many pieces.
    ``may_be_refused`` marks text that a loop's input validation may reject.
    ``cancel_after_s`` makes the application give the turn up after that time.
    """

    say: str
    answer: str
    rounds: tuple[Round, ...] = ()
    system: tuple[str, ...] = ()
    session: int = 0
    pause_s: float = 0.0
    delay_s: float = 0.0
    chunks: int = 1
    faults: tuple[Fault, ...] = ()
    may_be_refused: bool = False
    cancel_after_s: float | None = None


class LazyTurns(Sequence[Turn]):
    """Turns that are computed when they are looked at.

    ``make`` must be a pure function of the turn's number. A conversation of a million
    messages then takes no memory, and any turn can be looked up by itself.
    """

    def __init__(self, count: int, make: Callable[[int], Turn]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Turn: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Turn]: ...
    def __getitem__(self, index: int | slice) -> Turn | Sequence[Turn]:
        if isinstance(index, slice):
            return [self._make(number) for number in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(f"turn {index} of {self._count}")
        return self._make(index % self._count)

    def __iter__(self) -> Iterator[Turn]:
        return map(self._make, range(self._count))


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What will happen, as data: a name, a seed, the parameters it was made with, and its turns.

    ``params`` are the generator's own parameters (sizes and so on), for the replay line.
    """

    name: str
    seed: int
    turns: Sequence[Turn]
    params: Mapping[str, int | float | str | bool] = {}


def stream(seed: int, purpose: str) -> Random:
    """Return the random stream of *seed* for one purpose.

    Each purpose has a stream of its own, so that one more word in the dialogue does not
    shift every later delay.
    """
    return Random(f"{seed}/{purpose}")


def user_text(session: int, turn: int, text: str) -> str:
    """Return *text* as turn number *turn*'s user says it: with its marker in front."""
    return f"{Place(session, turn).marker()} {text}"


def tool_call(planned: PlannedCall, place: Place) -> ToolCall:
    """Return *planned* as the model writes it."""
    arguments = planned.arguments
    if arguments is None:
        arguments = json.dumps({**planned.inputs, "ref": place.ref()})
    return ToolCall(id=planned.id or f"call_{place.ref()}", name=planned.name, arguments=arguments)


def result_text(place: Place, planned: PlannedCall) -> str:
    """Return what the tool gives back where it gives text: its place, and the planned result."""
    return f"{place.marker()} {planned.result}"
