"""Where a conversation is looked at: the sizes, each twice the one before, and the turns at which they are reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from looprig.content import ContentError
from looprig.scenario import Turn
from looprig.workload import messages_of

DOUBLINGS_MIN = 4
"""Three to see what a message costs in the beginning, and one to see what it costs in the end."""


class TooShort(ContentError):
    """A scenario that is too short to see growth; the text says what would do."""


@dataclass(frozen=True, slots=True)
class Stops:
    """The numbers of turns done, and how many messages the conversation has then."""

    turns: tuple[int, ...]
    messages: tuple[int, ...]

    def spans(self) -> list[int]:
        """Return how many messages each doubling adds."""
        return [later - sooner for sooner, later in zip(self.messages, self.messages[1:], strict=False)]

    def middles(self) -> list[float]:
        """Return how many messages the conversation has half-way through each doubling."""
        return [(later + sooner) / 2 for sooner, later in zip(self.messages, self.messages[1:], strict=False)]


def stops_of(turns: Sequence[Turn], first: int) -> Stops:
    """Return the stops of a scenario: all of it, half of it, and so on down to *first* messages.

    Raises:
        TooShort: where that gives fewer than `DOUBLINGS_MIN` doublings.
    """
    said = [0, *accumulate(messages_of(turn) for turn in turns)]
    sizes = [said[-1]]
    while -(-sizes[-1] // 2) >= first:
        sizes.append(-(-sizes[-1] // 2))
    found = dict.fromkeys(next(turn for turn, total in enumerate(said) if total >= size) for size in reversed(sizes))
    if len(found) <= DOUBLINGS_MIN:
        raise TooShort(
            f"{said[-1]} messages are too few to see how cost grows: from {first} on, they double fewer than "
            f"{DOUBLINGS_MIN} times; {first * 2**DOUBLINGS_MIN} would do"
        )
    return Stops(tuple(found), tuple(said[turn] for turn in found))
