"""What is known of a conversation's older messages, in some ten bytes each, as long as nobody asks.

An observer keeps an entry of some 150 bytes for each message of the last request. That is nothing for one
conversation, and most of the memory of a thousand that wait for their users. A request that only adds to the one
before looks at none of the older ones; a cut looks at all of them, and then they are made again.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import SupportsIndex, overload

from looprig.ledger import Ledger
from looprig.messages import Message
from looprig.observe import Entry, Kind, SessionState
from looprig.tokens import counter, message_tokens

_KINDS: dict[str, Kind] = {"user": "user", "assistant": "assistant", "tool": "result"}

_estimate = counter("estimate")

_FAR = 30_000
"""An entry is kept as it is whose owner stands further away than this, or whose call has a greater number."""


class Settled:
    """The entries of a request, of which the older ones are folded up; see `looprig.observe.Entries`.

    Folded are those that hold nothing but what their message, their position and three small numbers tell; any
    other, and each that somebody else still holds, stays as it is.
    """

    __slots__ = ("_backs", "_calls", "_kept", "_messages", "_open", "_positions", "_turns")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._open = list(entries)
        self._kept: dict[int, Entry] = {}
        self._turns = array("i")
        self._backs = array("h")
        self._calls = array("h")
        self._messages: Sequence[Message] = ()
        self._positions: Sequence[int] = ()

    @property
    def folded(self) -> int:
        """How many of the oldest entries are folded up."""
        return len(self._turns)

    def fold(self, until: int, held: Iterable[Entry], ledger: Ledger) -> None:
        """Fold the entries before number *until*, those *held* elsewhere apart; the ledger has their messages."""
        first = self.folded
        here = set(map(id, held))
        for index, entry in enumerate(self._open[: max(0, until - first)], first):
            owner, plain = entry.owner, _is_plain(entry) and id(entry) not in here
            back = index - owner.index if owner is not None else 0
            if not plain or not 0 <= back < _FAR or entry.call >= _FAR:
                self._kept[index], back = entry, 0
            self._turns.append(entry.turn)
            self._backs.append(back)
            self._calls.append(entry.call if back else -1)
        del self._open[: self.folded - first]
        self._messages, self._positions = ledger.window, ledger.positions

    def _unfold(self) -> None:
        made: list[Entry] = []
        for index, turn in enumerate(self._turns):
            kept = self._kept.get(index)
            made.append(kept if kept is not None else self._made(index, turn, made))
        self._open[:0] = made
        for emptied in (self._turns, self._backs, self._calls):
            del emptied[:]
        self._kept.clear()

    def _made(self, index: int, turn: int, before: Sequence[Entry]) -> Entry:
        message = self._messages[index]
        kind = _KINDS[message.role]
        entry = Entry(self._positions[index], message, kind, turn, message_tokens(message, _estimate))
        entry.index = index
        if entry.answered is not None:
            entry.answered = [1] * len(entry.answered)
        back = self._backs[index]
        if back:
            owner = before[index - back]
            entry.owner, entry.call, entry.order = owner, self._calls[index], owner.order
        return entry

    def __len__(self) -> int:
        return len(self._turns) + len(self._open)

    def __iter__(self) -> Iterator[Entry]:
        self._unfold()
        return iter(self._open)

    def __reversed__(self) -> Iterator[Entry]:
        yield from reversed(self._open)
        if self._turns:
            until = self.folded
            self._unfold()
            yield from reversed(self._open[:until])

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Entry: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Entry]: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> Entry | list[Entry]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if start < self.folded or step < 0:
                self._unfold()
                return self._open[index]
            return self._open[start - self.folded : max(0, stop - self.folded) : step]
        number = index.__index__()
        number += len(self) if number < 0 else 0
        if 0 <= number < self.folded:
            self._unfold()
        return self._open[number - self.folded] if number >= 0 else self._open[-len(self) - 1]

    def extend(self, more: Iterable[Entry], /) -> None:
        """Add entries at the end."""
        self._open.extend(more)


def _is_plain(entry: Entry) -> bool:
    """Whether everything about an entry can be told from its message, its position and its owner."""
    owner = entry.owner
    return (
        entry.kind == _KINDS.get(entry.message.role)
        and not entry.forgiven
        and entry.first_text is None
        and entry.order == (entry.position if owner is None else owner.order)
        and (owner is None or owner.kept)
        and (entry.answered is None or entry.answered.count(1) == len(entry.answered))
    )


def settle(state: SessionState, ledger: Ledger) -> None:
    """Fold up what is older than the last turn of a session that rests; nothing changes for whoever looks at it."""
    held = [
        entry
        for entry in (state.newest_user, state.user_before, state.user_seen, state.newest_reply, *state.systems)
        if entry is not None
    ]
    recent = [entry.index for entry in held if entry.kept and entry.kind != "system"]
    if not recent or len(state.entries) != len(ledger.window):
        return
    entries = state.entries
    if not isinstance(entries, Settled):
        entries = state.entries = Settled(list(entries))
    entries.fold(min(recent), held, ledger)
