"""Numbers everything that is said in a session, and writes each request in these numbers.

A loop hands over its whole history at every request. The ledger finds out what is the
same as in the request before, what was dropped and what is new, by value, because no
framework carries a usable message id through.

A request that only adds to the one before costs work for what it adds, beside one
comparison of lists in C; any other request costs work for its own length. What was dropped
is remembered by its hash alone (8 bytes a message), so that a message that comes back
later is known again.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from operator import is_not

from looprig.messages import Message
from looprig.trace import Request, Span


class Ledger:
    """The positions of one session's messages; ``mask`` is what its loop's contract says."""

    def __init__(self, session: int, mask: str | None = None) -> None:
        self.mask = mask
        self._session = session
        self.window: list[Message] = []
        """The last request."""
        self.positions = array("i")
        """Those of the last request's messages."""
        self._unsent: list[tuple[int, Message]] = []
        self._hashes = array("q")
        self._open_ids: frozenset[str | None] = frozenset()

    def say(self, message: Message) -> int:
        """Give *message*, which the user or the model said, the next position."""
        position = self._number(message)
        self._unsent.append((position, message))
        if message.tool_calls:
            self._open_ids = frozenset(call.id for call in message.tool_calls)
        return position

    def remembered(self) -> list[Message]:
        """Return what a loop that never trims would send next: the last request, and what was said since."""
        return [*self.window, *(message for _, message in self._unsent)]

    def request(self, messages: list[Message], turn: int) -> Request:
        """Write *messages*, a list that the ledger may keep, as a request in turn number *turn*."""
        same = len(self.window)
        if len(messages) >= same and messages[:same] == self.window:
            return self._extended(messages, same, turn)
        return self._cut(messages, turn)

    def _extended(self, messages: list[Message], same: int, turn: int) -> Request:
        new: list[Message] = []
        again: list[tuple[int, Message]] = []
        positions = [self._place(message, new, again) for message in messages[same:]]
        copied = sum(map(is_not, messages, self.window))
        self.window = messages
        self.positions.extend(positions)
        self._unsent.clear()
        return Request(
            session=self._session,
            turn=turn,
            extends=True,
            spans=_spans(positions),
            new=tuple(new),
            again=tuple(again),
            copied=copied,
        )

    def _place(self, message: Message, new: list[Message], again: list[tuple[int, Message]]) -> int:
        """Return the position of a message that the request before did not have."""
        for number, (position, said) in enumerate(self._unsent):
            if said == message:
                del self._unsent[: number + 1]
                return position
        return self._find(message, new, again)

    def _find(self, message: Message, new: list[Message], again: list[tuple[int, Message]]) -> int:
        known = self._known(message)
        if known is not None:
            again.append((known, message))
            return known
        new.append(message)
        return self._number(message)

    def _known(self, message: Message) -> int | None:
        """Return the newest position of a message that was dropped earlier, or None.

        A result that answers an open call, a system message and a named note are taken to be new:
        looking for them among all that was ever said would cost work that grows with the conversation.
        So are masked results, which all read the same.
        """
        if message.role == "system" or message.name is not None or message.tool_call_id in self._open_ids:
            return None
        if message.role == "tool" and message.content == self.mask:
            return None
        try:
            return len(self._hashes) - 1 - self._hashes[::-1].index(hash(message))
        except ValueError:
            return None

    def _cut(self, messages: list[Message], turn: int) -> Request:
        known = [*zip(self.positions, self.window, strict=True), *self._unsent]
        placed = _align(messages, known)
        new: list[Message] = []
        again: list[tuple[int, Message]] = []
        positions = [
            self._find(message, new, again) if index is None else known[index][0]
            for message, index in zip(messages, placed, strict=True)
        ]
        same = len(self.window)
        copied = sum(
            index is not None and index < same and known[index][1] is not message
            for message, index in zip(messages, placed, strict=True)
        )
        self.window, self.positions = messages, array("i", positions)
        self._unsent.clear()
        return Request(
            session=self._session,
            turn=turn,
            spans=_spans(positions),
            new=tuple(new),
            again=tuple(again),
            copied=copied,
        )

    def _number(self, message: Message) -> int:
        self._hashes.append(hash(message))
        return len(self._hashes) - 1


def _align(messages: Sequence[Message], known: Sequence[tuple[int, Message]]) -> list[int | None]:
    """Return for each message its index in *known*, or None.

    Equal messages are matched greedily from the right and in order, so that of two equal messages the newer is
    taken to have been kept; system messages may stand anywhere. A result is first looked for behind the message
    that it stands behind: where providers reuse call ids, a new result can equal an old one to the letter.
    """
    indices: dict[Message, list[int]] = {}
    for index, (_, message) in enumerate(known):
        indices.setdefault(message, []).append(index)
    placed: list[int | None] = [None] * len(messages)
    _place_spoken(messages, indices, len(known), placed)
    _place_results(messages, known, placed)
    _place_orphans(messages, indices, len(known), placed)
    return placed


def _place_spoken(
    messages: Sequence[Message], indices: dict[Message, list[int]], limit: int, placed: list[int | None]
) -> None:
    """Place what is no tool result."""
    for number in range(len(messages) - 1, -1, -1):
        message = messages[number]
        if message.role == "tool":
            continue
        found = indices.get(message, [])
        while found and message.role != "system" and found[-1] >= limit:
            found.pop()
        if found:
            placed[number] = index = found.pop()
            if message.role != "system":
                limit = index


def _place_results(messages: Sequence[Message], known: Sequence[tuple[int, Message]], placed: list[int | None]) -> None:
    """Place results behind the message that they stand behind, in order."""
    following = len(known)
    for number, message in enumerate(messages):
        if message.role != "tool":
            before = placed[number]
            following = len(known) if before is None else before + 1
            continue
        index = following
        while index < len(known) and known[index][1].role == "tool":
            if known[index][1] == message:
                placed[number], following = index, index + 1
                break
            index += 1


def _place_orphans(
    messages: Sequence[Message], indices: dict[Message, list[int]], limit: int, placed: list[int | None]
) -> None:
    """Place results whose message is gone or elsewhere, between what stands around them."""
    lowest = _placed_before(messages, placed)
    for number in range(len(messages) - 1, -1, -1):
        message, index = messages[number], placed[number]
        if message.role == "tool" and index is None:
            found = indices.get(message, [])
            at = bisect_left(found, limit) - 1
            if at >= 0 and found[at] > lowest[number]:
                placed[number] = index = found[at]
        if index is not None and message.role != "system":
            limit = index


def _placed_before(messages: Sequence[Message], placed: Sequence[int | None]) -> list[int]:
    """Return for each message the largest index that something before it, system messages apart, was placed at."""
    lowest: list[int] = []
    highest = -1
    for message, index in zip(messages, placed, strict=True):
        lowest.append(highest)
        if index is not None and message.role != "system":
            highest = max(highest, index)
    return lowest


def _spans(positions: Sequence[int]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for position in positions:
        if spans and spans[-1][1] == position:
            spans[-1] = (spans[-1][0], position + 1)
        else:
            spans.append((position, position + 1))
    return tuple(spans)


def positions_of(spans: Sequence[Span]) -> list[int]:
    """Return the positions that *spans* hold, in order."""
    return [position for start, stop in spans for position in range(start, stop)]
