"""The contract with a trimmer under test, on one screen.

A *trimmer* takes a list of messages and returns the list that is to be sent. What kind of messages these are is
the business of a `Codec`; what the trimmer promises is a `TrimContract`; a `Subject` holds all that together, and
makes a fresh trimmer for each case::

    Subject(name="keep the last n", make=lambda limit: lambda history: history[-limit:])
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from looprig.messages import Message, message_from_dict

Trimmer = Callable[[list[Any]], Any]
"""Takes a history in its own kind of messages. Returns the trimmed list, None where the list that it was given is
to be taken as it is after the call (left alone, or trimmed in place), or an awaitable of either."""

Unit = Literal["messages", "tokens", "turns", "groups"]

Measure = Callable[[Sequence[Message]], float]

Mode = Literal["pure", "inplace", "view"]


class NotRepresentable(Exception):
    """A history that this kind of messages cannot hold; it is not played, and that is nobody's fault."""


class Codec(Protocol):
    """Translates between looprig's messages and those of a framework.

    ``extend(native, messages)`` may be there too: it returns a history with messages added to it. Without it the
    messages are loaded by themselves and added at the end.
    """

    def load(self, messages: Sequence[Message]) -> list[Any]:
        """Return *messages* as new objects of the framework.

        Raises:
            NotRepresentable: where the framework has no form for them.
        """
        ...

    def dump(self, native: Sequence[Any]) -> list[Message]:
        """Return the framework's messages as looprig's."""
        ...


class MessagesCodec:
    """Looprig's own messages, which are as they are."""

    def load(self, messages: Sequence[Message]) -> list[Any]:
        return list(messages)

    def dump(self, native: Sequence[Any]) -> list[Message]:
        return list(native)


class DictsCodec:
    """Chat-completions dicts."""

    def load(self, messages: Sequence[Message]) -> list[Any]:
        return [message.to_dict() for message in messages]

    def dump(self, native: Sequence[Any]) -> list[Message]:
        return list(map(message_from_dict, native))


CODECS: Mapping[str, Codec] = {"messages": MessagesCodec(), "dicts": DictsCodec()}


def lost_by(codec: Codec, messages: Sequence[Message]) -> str | None:
    """Say what a round trip through *codec* changes in *messages*; None where it changes nothing.

    Raises:
        NotRepresentable: where the codec has no form for them.
    """
    back = codec.dump(codec.load(messages))
    if back == list(messages):
        return None
    if len(back) != len(messages):
        return f"{len(messages)} messages come back as {len(back)}"
    at = next(at for at, (one, other) in enumerate(zip(messages, back, strict=True)) if one != other)
    return f"message {at} comes back as {back[at]!r}, and was {messages[at]!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimContract:
    """What a trimmer promises. A promise that is not made is not judged, and the report says so.

    ``limit``, ``unit``: how large a result may be; ``unit`` may be a function from messages to a size.
    ``mode``: ``pure`` returns a new list; ``inplace`` changes the list that it is given; ``view`` is a pure one
    whose history is never replaced by the result (what is remembered goes on growing).
    ``pins``: what is kept by declaration, whatever its age: ``first_user``, ``head:3`` (the first three messages).
    ``notes``: the trimmer's own messages, by a predicate, or by the texts that they begin with.
    ``system_apart``: the framework keeps system messages out of the list; histories without them are played.
    ``waive``: code of a rule to the reason why it does not apply; printed in every report.
    """

    limit: int
    unit: Unit | Measure = "messages"
    mode: Mode = "pure"
    pins: tuple[str, ...] = ()
    notes: Callable[[Message], bool] | tuple[str, ...] = ()
    system_apart: bool = False
    waive: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for pin in self.pins:
            if not re.fullmatch(r"first_user|head:\d{1,6}", pin):
                raise ValueError(f"{pin!r} is no pin; write first_user, or head:3 for the first three messages")

    def size(self, messages: Sequence[Message]) -> float:
        """Return the size of *messages* by the contract's own measure."""
        return MEASURES[self.unit](messages) if isinstance(self.unit, str) else self.unit(messages)

    def is_note(self, message: Message) -> bool:
        """Say whether *message* is declared to be of the trimmer's own making."""
        if callable(self.notes):
            return self.notes(message)
        return bool(self.notes) and message.content.startswith(self.notes)


class TokenCounter:
    """Counts a quarter of the characters of a message's text and of its calls' names and arguments, rounded down.

    So cheap and so plain that every framework can be given the same counter. ``calls`` tells how often it was asked:
    of what a trimmer costs that is exact.
    """

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, message: Message) -> int:
        self.calls += 1
        return (len(message.content) + sum(len(call.name) + len(call.arguments) for call in message.tool_calls)) // 4


tokens = TokenCounter()


def _groups(messages: Sequence[Message]) -> int:
    return sum(1 for message in messages if message.role not in ("system", "tool"))


MEASURES: Mapping[str, Measure] = {
    "messages": len,
    "tokens": lambda messages: sum(map(tokens, messages)),
    "turns": lambda messages: sum(1 for message in messages if message.role == "user"),
    "groups": _groups,
}


def contract_in(unit: Unit | Measure, **promises: Any) -> Callable[[int], TrimContract]:
    """Return the function from a limit to the contract with this limit: ``contract_in("tokens", mode="view")``."""
    return lambda limit: TrimContract(limit=limit, unit=unit, **promises)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A trimmer under test: its name, how to make one for a limit, its messages, and what it promises.

    ``packages`` are the distributions whose versions are printed. ``make`` gives a fresh trimmer, because some
    remember. ``limits`` stands in for the limits that go with the contract's unit. ``slow`` plays fewer cases, for
    what costs milliseconds a call.
    """

    name: str
    make: Callable[[int], Trimmer]
    contract: Callable[[int], TrimContract] = field(default_factory=lambda: contract_in("messages"))
    codec: Codec = field(default_factory=MessagesCodec)
    packages: tuple[str, ...] = ()
    limits: tuple[int, ...] = ()
    slow: bool = False
