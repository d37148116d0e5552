"""The policy that the harness shows to be right: nothing is torn apart that a provider wants whole.

Words of this file: a *unit* is what is kept or dropped as one, a group or any other single
message that is not a system message; a *cut* is the index of the oldest unit that stays for
being new; a *pin* is the index of a message that stays whatever the cut.

Non-goals: tokens (messages are counted), and repairing a history that comes in broken (a
result without a call is a unit like any other).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from typing import NamedTuple

from looprig.messages import Message
from reference_loop.policies.base import Trim, incremental_limits


class Layout(NamedTuple):
    """Where things stand in a history, as ascending indices."""

    systems: list[int]
    users: list[int]
    units: list[int]
    """Where units start."""
    turns: list[int]
    """Where turns start: user messages that are units of their own."""
    pending: list[int]
    """Messages with a call whose result has not arrived, one entry for each such call."""


class Grouped:
    """Above the trigger keep all system messages, the current user message, pending groups and the newest whole units.

    A trim is one pass over the history. Between two of them lie ``trigger - target`` appends, so an
    append costs O(1) amortised, as long as what must stay is below the trigger. When it is not,
    each new unit costs a pass, as does the request that is about to carry it.
    """

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        self.limits = incremental_limits(pairs).override(trigger, target)
        self._stuck_at: int | None = None
        """The length at which the newest check left only what must stay, and still more than the trigger."""

    def trim(self, messages: Sequence[Message]) -> list[Message] | None:
        """Return what stays, or None; a pure function."""
        if len(messages) <= self.limits.trigger:
            return None
        layout = lay_out(messages)
        if not layout.units:
            return None
        pins = pinned(layout)
        cut = best_cut(layout, pins, len(messages), self.limits.target)
        older = older_than(cut, layout, pins)
        return [*(messages[index] for index in older), *messages[cut:]] if len(older) < cut else None

    def on_append(self, messages: Sequence[Message]) -> Trim | None:
        if len(messages) <= self.limits.trigger:
            return None
        # Where only what must stay is left, more results of the newest group free nothing.
        # Without this a round with a thousand calls would look at all of them a thousand times.
        if self._stuck_at is not None and all(message.role == "tool" for message in messages[self._stuck_at :]):
            self._stuck_at = len(messages)
            return None
        return self._trim

    def _trim(self, messages: Sequence[Message]) -> list[Message] | None:
        kept = self.trim(messages)
        length = len(messages if kept is None else kept)
        self._stuck_at = length if length > self.limits.trigger else None
        return kept

    def on_turn_end(self, messages: Sequence[Message]) -> Trim | None:
        return None

    def promises(self) -> dict[str, int]:
        return {"messages_max": self.limits.trigger, **self.limits._asdict()}


def lay_out(messages: Sequence[Message]) -> Layout:
    """Find the units of a history in one pass.

    A result belongs to the nearest call before it that has its id and no result yet: ids
    may be used again in a later turn. What stands between a call and its result, other than
    system messages, belongs to the same unit.
    """
    systems: list[int] = []
    users: list[int] = []
    units: list[int] = []
    turns: list[int] = []
    open_calls: dict[str | None, list[int]] = {}
    for index, message in enumerate(messages):
        role = message.role
        if role == "system":
            systems.append(index)
            continue
        if role == "tool" and (callers := open_calls.get(message.tool_call_id)):
            caller = callers.pop()
            _join(units, caller)
            _join(turns, caller)
            continue
        units.append(index)
        if role == "user":
            users.append(index)
            turns.append(index)
        elif message.tool_calls:
            for call in message.tool_calls:
                open_calls.setdefault(call.id, []).append(index)
    pending = sorted(index for callers in open_calls.values() for index in callers)
    return Layout(systems, users, units, turns, pending)


def _join(starts: list[int], caller: int) -> None:
    """What started after *caller* is now a part of its unit."""
    while starts and starts[-1] > caller:
        starts.pop()


def pinned(layout: Layout) -> list[int]:
    """Return the indices of the messages that stay whatever the cut."""
    pins = {*layout.systems, *layout.users[-1:]}
    for index in layout.pending:
        number = bisect_right(layout.units, index) - 1
        start = layout.units[number]
        if start != layout.units[-1]:  # No cut is newer than the newest unit.
            pins.update(range(start, layout.units[number + 1]), _asker(layout, start))
    return sorted(pins)


def older_than(cut: int, layout: Layout, pins: list[int]) -> list[int]:
    """Return the indices of what stays from before *cut*: the pins, and who asked for the unit that starts there."""
    older = pins[: bisect_left(pins, cut)]
    for index in _asker(layout, cut):
        if index not in older:
            insort(older, index)
    return older


def _asker(layout: Layout, start: int) -> list[int]:
    """Return the index of the user message before the unit at *start*, unless the unit is one itself.

    What is kept has to begin with a user message. The newest one does not always come first: a loop may
    put user messages between a call and its result.
    """
    number = bisect_right(layout.users, start)
    return [index for index in layout.users[max(number - 1, 0) : number] if index != start]


def best_cut(layout: Layout, pins: list[int], length: int, target: int) -> int:
    """Return the oldest cut that leaves at most *target* of *length* messages, or the newest cut if none does.

    Cuts are the starts of turns, and inside the current turn the starts of units.
    """
    units, turns = layout.units, layout.turns
    cuts = turns + units[bisect_right(units, turns[-1]) :] if turns else units

    def fits(cut: int) -> bool:
        return len(older_than(cut, layout, pins)) + length - cut <= target

    # A newer cut never leaves more, so the cuts that fit are the newest ones.
    return cuts[min(bisect_left(cuts, True, key=fits), len(cuts) - 1)]
