"""A policy that drops like ``grouped``, and leaves one message that says what was dropped."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from looprig.messages import Message
from reference_loop.policies.grouped import Grouped

SUMMARY_NAME = "summary"


def last_words(before: str, dropped: Sequence[Message]) -> str:
    """Return a summary: the beginnings of the five newest user messages of the one *before* and of *dropped*."""
    said = [f"- {' '.join(message.content.split())[:80]}" for message in dropped if message.role == "user"]
    newest = [*before.splitlines()[1:], *said][-5:]
    return "\n".join(["Older messages were removed. In them the user said last:", *newest])


class Summarising(Grouped):
    """Keep what `Grouped` keeps, and one summary of all the rest, for which it leaves a place.

    The summary is a user message: what users and tools said must not come back with a system message's authority.
    """

    reserve = 1
    summarise = staticmethod(last_words)
    _summary = ""

    def note(self, message: Message, number: int, tail: deque[Message]) -> None:
        if message.name == SUMMARY_NAME:  # In a history that was trimmed before; like a result it begins nothing.
            self._summary, message = message.content, Message(role="tool")
        super().note(message, number, tail)

    def cut(self, messages: Iterator[Message], turn_over: bool) -> int:
        older = [*self.head]
        left = super().cut(messages, turn_over)
        if left:
            kept = set(map(id, self.head))
            older += islice(messages, left)
            dropped = [each for each in older if id(each) not in kept and each.name != SUMMARY_NAME]
            self._summary = self.summarise(self._summary, dropped)
            users = (index for index, message in enumerate(self.head) if message.role == "user")
            summary = Message(role="user", content=self._summary, name=SUMMARY_NAME)
            self.head.insert(next(users, len(self.head)), summary)
        return left

    def promises(self) -> Mapping[str, object]:
        return {**super().promises(), "notes": (SUMMARY_NAME,)}
