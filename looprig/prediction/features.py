"""What is known when a turn starts: the history, what the user has just typed, and the turns before.

A `Past` hears of turns that are over and of nothing else, so that nothing of a turn can get into what it is predicted
from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Size(NamedTuple):
    """The length of a history, in messages and in tokens; a predicted one may have fractions."""

    messages: float
    tokens: float


NOTHING = Size(0, 0)


@dataclass(frozen=True, slots=True)
class Played:
    """A turn that is over: the history before and after it, what joined the conversation, and what was done.

    ``said`` counts what joined, before any trim. ``trims`` counts trims, ``trimmed_to`` is the length in messages that
    the last of them left (0 where there was none), ``tools`` counts tool runs.
    """

    start: Size
    end: Size
    said: Size
    trims: int = 0
    trimmed_to: int = 0
    tools: int = 0


FEATURES = {
    "messages": "messages of the history",
    "tokens": "tokens of the history",
    "turn": "turns played before",
    "text_tokens": "tokens of what the user has just typed",
    "said_messages_last": "messages that the turn before said",
    "said_messages_mean": "messages that a turn said so far, mean",
    "said_messages_most": "messages that a turn said so far, at most",
    "said_tokens_last": "tokens that the turn before said",
    "said_tokens_mean": "tokens that a turn said so far, mean",
    "said_tokens_most": "tokens that a turn said so far, at most",
    "grown_messages_last": "messages by which the history grew in the turn before, trims included",
    "grown_messages_mean": "messages by which it grew in a turn so far, mean",
    "grown_tokens_last": "tokens by which it grew in the turn before",
    "grown_tokens_mean": "tokens by which it grew in a turn so far, mean",
    "trims": "trims so far",
    "since_trim": "turns since the last trim, or since the start",
    "trimmed_to": "messages that the last trim left, 0 where there was none",
    "peak": "messages of the longest history that a turn started or ended with",
    "tools_last": "tool runs of the turn before",
    "tools_mean": "tool runs of a turn so far, mean",
}
"""What a prediction rests on, by name; the values of `Known.features` stand in this order."""

_INDEX = {name: index for index, name in enumerate(FEATURES)}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at the start of a turn: the history as it stands, the features, and what turns did so far.

    ``turns`` counts the turns before, of the same session; ``grown`` is by how much the history grew in one of them, on
    average.
    """

    start: Size
    features: tuple[float, ...]
    turns: int
    grown: Size

    def __getitem__(self, name: str) -> float:
        """Return the feature called *name*."""
        return self.features[_INDEX[name]]


@dataclass(slots=True)
class Past:
    """The turns of one session that are over, as sums; takes the same room whatever their number."""

    turns: int = 0
    last: Played | None = None
    trims: int = 0
    since_trim: int = 0
    trimmed_to: int = 0
    tools: int = 0
    said: Size = NOTHING
    most: Size = NOTHING
    grown: Size = NOTHING
    peak: float = 0

    def add(self, turn: Played) -> None:
        """Take in a turn that is over."""
        self.turns += 1
        self.last = turn
        self.trims += turn.trims
        self.since_trim = 0 if turn.trims else self.since_trim + 1
        self.trimmed_to = turn.trimmed_to or self.trimmed_to
        self.tools += turn.tools
        self.said = _plus(self.said, turn.said)
        self.most = Size(max(self.most.messages, turn.said.messages), max(self.most.tokens, turn.said.tokens))
        self.grown = _plus(self.grown, growth(turn.start, turn.end))
        self.peak = max(self.peak, turn.start.messages, turn.end.messages)

    def known(self, start: Size, text_tokens: int) -> Known:
        """Return what is known at the start of the next turn, whose user types *text_tokens* tokens."""
        count = max(1, self.turns)
        said, grown = _over(self.said, count), _over(self.grown, count)
        last = self.last or Played(NOTHING, NOTHING, NOTHING)
        grown_last = growth(last.start, last.end)
        values = {
            "messages": start.messages,
            "tokens": start.tokens,
            "turn": self.turns,
            "text_tokens": text_tokens,
            "said_messages_last": last.said.messages,
            "said_messages_mean": said.messages,
            "said_messages_most": self.most.messages,
            "said_tokens_last": last.said.tokens,
            "said_tokens_mean": said.tokens,
            "said_tokens_most": self.most.tokens,
            "grown_messages_last": grown_last.messages,
            "grown_messages_mean": grown.messages,
            "grown_tokens_last": grown_last.tokens,
            "grown_tokens_mean": grown.tokens,
            "trims": self.trims,
            "since_trim": self.since_trim,
            "trimmed_to": self.trimmed_to,
            "peak": max(self.peak, start.messages),
            "tools_last": last.tools,
            "tools_mean": self.tools / count,
        }
        return Known(start, tuple(float(values[name]) for name in FEATURES), self.turns, grown)


def growth(start: Size, end: Size) -> Size:
    """Return by how much a history grew; less than nothing where a trim took more than was said."""
    return Size(end.messages - start.messages, end.tokens - start.tokens)


def _plus(one: Size, other: Size) -> Size:
    return Size(one.messages + other.messages, one.tokens + other.tokens)


def _over(total: Size, count: int) -> Size:
    return Size(total.messages / count, total.tokens / count)
