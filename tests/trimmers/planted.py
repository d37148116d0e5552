"""Trimmers with one planted fault each: the reference, spoiled in one way where it cuts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import msgspec

from looprig.messages import Message
from looprig.trimmers.baseline import reference
from looprig.trimmers.contract import Subject, TrimContract, Trimmer
from looprig.trimmers.histories import LONG_LIMITS, Case, long, short

History = list[Message]

NOTE = "(some of the conversation was left out)"


@dataclass(frozen=True)
class Fault:
    """What is done to a trimmed history, and which other rules this breaks of necessity."""

    make: Callable[[int], Trimmer]
    also: Set[str] = frozenset()
    promises: Mapping[str, Any] = field(default_factory=dict)


def subject(fault: Fault) -> Subject:
    """Return the spoiled trimmer as a subject."""
    return Subject(
        name="planted", make=fault.make, contract=lambda limit: TrimContract(limit=limit, **dict(fault.promises))
    )


def spoiled(change: Callable[[History, History], History]) -> Callable[[int], Trimmer]:
    """Return trimmers that do *change* to what the reference leaves, where it leaves something out."""

    def make(limit: int) -> Trimmer:
        def trim(history: History) -> History:
            left = reference(limit)(history)
            return left if len(left) == len(history) else change(history, left)

        return trim

    return make


def cases() -> Iterator[Case]:
    """Yield all short histories at three limits, and of each kind of long ones two."""
    yield from (Case(letters, limit) for letters, limit in product(short(), (2, 4, 6)))
    for kind, letters in long(range(0, 4, 3), range(1)):
        yield from (Case(letters, limit, kind) for limit in LONG_LIMITS["messages"])


def first(history: History, wanted: Callable[[Message], bool]) -> int | None:
    return next((at for at, message in enumerate(history) if wanted(message)), None)


def without(history: History, at: int | None) -> History:
    return history if at is None else history[:at] + history[at + 1 :]


def loses_system(_: History, left: History) -> History:
    return [message for message in left if message.role != "system"]


def loses_call(_: History, left: History) -> History:
    answered = {message.tool_call_id for message in left if message.role == "tool"}
    return without(left, first(left, lambda message: any(call.id in answered for call in message.tool_calls)))


def loses_result(_: History, left: History) -> History:
    return without(left, first(left[:-1], lambda message: message.role == "tool"))


def rewrites(_: History, left: History) -> History:
    return [msgspec.structs.replace(message, content=message.content.replace("-", ".")) for message in left]


def loses_question(_: History, left: History) -> History:
    users = [at for at, message in enumerate(left) if message.role == "user"]
    return without(left, users[-1] if len(users) > 1 and left[-1].role == "tool" else None)


def loses_opening(_: History, left: History) -> History:
    users = [at for at, message in enumerate(left[:-1]) if message.role == "user"]
    return without(left, users[0] if len(users) > 1 else None)


def keeps_first_question(history: History, left: History) -> History:
    at = first(history, lambda message: message.role == "user")
    lead = first(left, lambda message: message.role != "system") or 0
    return left if at is None or history[at] in left else [*left[:lead], history[at], *left[lead:]]


def loses_pending(_: History, left: History) -> History:
    calls = [at for at, message in enumerate(left) if message.tool_calls]
    if not calls:
        return left
    behind = left[calls[-1] + 1 :]
    waits = len(behind) < len(left[calls[-1]].tool_calls) and all(message.role == "tool" for message in behind)
    return left[: calls[-1]] if waits else left


def edits_group(_: History, left: History) -> History:
    """Take a call out of a group together with its result, as if it had never been asked for."""
    for at, message in enumerate(left):
        ids = [call.id for call in message.tool_calls]
        results = [result.tool_call_id for result in left[at + 1 : at + 1 + len(ids)]]
        if len(ids) > 1 and results == ids and at + len(ids) < len(left) - 1:
            fewer = msgspec.structs.replace(message, tool_calls=message.tool_calls[1:])
            return [*left[:at], fewer, *left[at + 2 :]]
    return left


def loses_newest(_: History, left: History) -> History:
    return left[:-1] if left[-1].role == "user" and len(left) > 1 and left[-2].role == "assistant" else left


def leaves_nothing(_: History, left: History) -> History:
    return [message for message in left if message.role == "system"]


def two_notes(_: History, left: History) -> History:
    lead = first(left, lambda message: message.role != "system") or 0
    return [*left[:lead], *(Message(role="system", content=f"{NOTE} {n}") for n in range(2)), *left[lead:]]


def halves(limit: int) -> Trimmer:
    """Trial a history to its half, whatever the limit is: the next call finds work again."""

    def trim(history: History) -> History:
        return history if len(history) <= limit else reference(max(limit, len(history) // 2))(history)

    return trim


def drops_greeting(limit: int) -> Trimmer:
    """Start on a user message, also where nothing has to go."""

    def trim(history: History) -> History:
        left = reference(limit)(history)
        at = first(left, lambda message: message.role != "system")
        starts = at is not None and left[at].role == "assistant" and not left[at].tool_calls and len(left) > at + 1
        return without(left, at) if starts else left

    return trim


def in_place(limit: int) -> Trimmer:
    def trim(history: History) -> None:
        history[:] = reference(limit)(history)

    return trim


COUNT = itertools.count()


def undecided(limit: int) -> Trimmer:
    """Keep half as much at every other call."""
    return lambda history: reference(limit)(history) if next(COUNT) % 3 else wasteful(limit)(history)


def wasteful(limit: int) -> Trimmer:
    return lambda history: history if len(history) <= limit else reference(max(1, limit // 2))(history)


def raises(_: History, left: History) -> History:
    if left[-1].role == "tool":
        raise IndexError("list index out of range")
    return left


PROVIDERS = frozenset({"LR201", "LR203", "LR204"})

FAULTS: Mapping[str, Fault] = {
    # The system messages may be what the history ends in, and without them there is room for more.
    "LR101": Fault(spoiled(loses_system), also={"LR112", "LR115"}),
    "LR121": Fault(spoiled(loses_call), also={"LR103", "LR109", "LR114", "LR115", *PROVIDERS}),
    "LR122": Fault(spoiled(loses_result), also={"LR103", "LR114", "LR115", *PROVIDERS}),
    # What was rewritten is not what was there: neither system message nor question nor newest message is kept.
    "LR131": Fault(spoiled(rewrites), also={"LR101", "LR102", "LR103", "LR112", "LR114", "LR115"}),
    "LR102": Fault(spoiled(loses_question), also={"LR204"}),
    "LR104": Fault(spoiled(loses_opening), also={"LR115", "LR203", "LR204"}),
    "LR105": Fault(lambda _: lambda history: history, also={"LR116"}),
    "LR109": Fault(halves, also={"LR105", "LR116"}),
    "LR107": Fault(drops_greeting, also={"LR115"}),
    "LR108": Fault(spoiled(keeps_first_question), also={"LR105"}),
    "LR103": Fault(spoiled(loses_pending), also={"LR108", "LR112", "LR115"}),
    "LR114": Fault(spoiled(edits_group), also={"LR131"}),
    "LR110": Fault(in_place),
    "LR111": Fault(undecided, also={"LR115"}),
    "LR112": Fault(spoiled(loses_newest), also={"LR102", "LR203", "LR204"}),
    "LR113": Fault(spoiled(leaves_nothing), also={"LR102", "LR103", "LR112", "LR115", *PROVIDERS}),
    "LR151": Fault(spoiled(raises)),
    "LR201": Fault(
        spoiled(lambda _, left: []),
        also={"LR101", "LR102", "LR103", "LR112", "LR113", "LR115", "LR203", "LR204"},
    ),
    "LR203": Fault(spoiled(loses_opening), also={"LR104", "LR115", "LR204"}),
    "LR204": Fault(spoiled(loses_result), also={"LR103", "LR114", "LR115", "LR122", "LR201", "LR203"}),
    "LR115": Fault(wasteful),
    "LR116": Fault(lambda _: lambda history: history, also={"LR105"}),
    "LR117": Fault(spoiled(two_notes), also={"LR105", "LR109", "LR116"}, promises={"notes": (NOTE,)}),
}
"""The faults by the rule that they are for; ``also`` are the rules that such a trimmer cannot help breaking too."""
