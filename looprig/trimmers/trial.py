"""One call of a trimmer, with its parts resolved: what was given, what came back, and which message is which.

A result is matched with the history by value, from the end, in order: no framework carries an id of our messages
through. What was moved, copied or rewritten has no position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from looprig.messages import Message
from looprig.trimmers.contract import TrimContract


class Pairing(NamedTuple):
    """Who answers whom in a list of messages.

    ``owner`` has for each result the position of the message that asked for it; a result without one is an orphan.
    ``waiting`` has position and id of each call that has no result.
    """

    owner: dict[int, int]
    waiting: list[tuple[int, str]]

    def is_orphan(self, at: int) -> bool:
        """Say whether the result at *at* answers nothing."""
        return at not in self.owner


def pairing(messages: Sequence[Message]) -> Pairing:
    """Match results with calls: each with the nearest call before it that has its id and waits for a result."""
    owner: dict[int, int] = {}
    waiting: list[tuple[int, str]] = []
    for at, message in enumerate(messages):
        if message.role == "tool":
            for back in range(len(waiting) - 1, -1, -1):
                if waiting[back][1] == message.tool_call_id:
                    owner[at] = waiting.pop(back)[0]
                    break
        waiting += [(at, call.id) for call in message.tool_calls]
    return Pairing(owner, waiting)


@dataclass(frozen=True)
class Trial:
    """What one call of a trimmer did, and what further calls showed.

    ``again`` is the result trimmed once more by a fresh trimmer, ``twin`` what another fresh trimmer makes of the
    same history; ``touched`` says what the call changed in the messages that it was given ("" for nothing). Each is
    None where that was not tried.
    """

    given: Sequence[Message]
    result: Sequence[Message]
    contract: TrimContract
    again: Sequence[Message] | None = None
    twin: Sequence[Message] | None = None
    touched: str | None = None

    @cached_property
    def at(self) -> list[int | None]:
        """The position in the history of each message of the result; None where it has none."""
        where: dict[Message, list[int]] = {}
        for position, message in enumerate(self.given):
            where.setdefault(message, []).append(position)
        bound, found = len(self.given), list[int | None]()
        for message in reversed(self.result):
            positions = where.get(message, [])
            while positions and positions[-1] >= bound:
                positions.pop()
            if not positions:
                found.append(None)
                continue
            bound = positions.pop()
            found.append(bound)
        return found[::-1]

    @cached_property
    def kept(self) -> set[int]:
        """The positions of the history that are in the result."""
        return {at for at in self.at if at is not None}

    @cached_property
    def before(self) -> Pairing:
        """Who answers whom in the history."""
        return pairing(self.given)

    @cached_property
    def after(self) -> Pairing:
        """Who answers whom in the result."""
        return pairing(self.result)

    @cached_property
    def units(self) -> list[list[int]]:
        """The history's units, oldest first: a call with its results, or one other message."""
        made: dict[int, list[int]] = {}
        for at in range(len(self.given)):
            made.setdefault(self.before.owner.get(at, at), []).append(at)
        return list(made.values())

    @cached_property
    def lead(self) -> int:
        """How many system messages the history begins with."""
        return next((at for at, message in enumerate(self.given) if message.role != "system"), len(self.given))

    @cached_property
    def newest_user(self) -> int | None:
        """The position of the newest user message."""
        return next((at for at in range(len(self.given) - 1, -1, -1) if self.given[at].role == "user"), None)

    @cached_property
    def pinned(self) -> set[int]:
        """The positions that the contract pins."""
        pinned = set[int]()
        for pin in self.contract.pins:
            if pin == "first_user":
                pinned |= {next((at for at, message in enumerate(self.given) if message.role == "user"), 0)}
            else:
                pinned |= set(range(min(len(self.given), int(pin.removeprefix("head:")))))
        return pinned

    @cached_property
    def needed(self) -> list[int]:
        """What no trim may drop: system messages at the front, pins, the newest user message, the newest unit.

        Where results come in so late that their call stands before the newest user message, that unit needs the
        part of the conversation that it stands in: it can neither open a conversation nor skip what is newer.
        """
        needed = set(range(self.lead)) | self.pinned
        if self.newest_user is not None:
            needed.add(self.newest_user)
        newest = next((unit for unit in self.units if unit[-1] == len(self.given) - 1), [])
        needed.update(newest)
        if newest and self.newest_user is not None and newest[0] < self.newest_user:
            opened = next((at for at in range(newest[0], -1, -1) if self.given[at].role == "user"), newest[0])
            needed.update(range(opened, len(self.given)))
        return sorted(needed)

    @cached_property
    def pending(self) -> list[int]:
        """The call at the end whose results have not all come in, with those that have; empty where there is none."""
        if not self.before.waiting:
            return []
        call = self.before.waiting[-1][0]
        behind = range(call + 1, len(self.given))
        return [call, *behind] if all(self.before.owner.get(at) == call for at in behind) else []

    def size(self, positions: Sequence[int]) -> float:
        """Return the size of some of the history, by the contract's measure."""
        return self.contract.size([self.given[at] for at in positions])
