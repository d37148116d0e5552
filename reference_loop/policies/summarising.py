"""A policy that drops like ``grouped``, and leaves one message that says what was dropped."""

from collections.abc import Mapping, Sequence
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

    def note(self, message: Message, number: int) -> None:
        if message.name == SUMMARY_NAME:  # In a history that was trimmed before; like a result it begins nothing.
            self._summary, message = message.content, Message(role="tool")
        super().note(message, number)

    def trim(self, turn_over: bool) -> None:
        waiting, older = self.waiting, super().head()
        super().trim(turn_over)
        older += islice(self.tail, waiting, self.waiting)
        kept = set(map(id, super().head()))
        dropped = [each for each in older if id(each) not in kept and each.name != SUMMARY_NAME]
        self._summary = self.summarise(self._summary, dropped)

    def head(self) -> list[Message]:
        head = super().head()
        if self.start:
            place = next((index for index, message in enumerate(head) if message.role == "user"), len(head))
            head.insert(place, Message(role="user", content=self._summary, name=SUMMARY_NAME))
        return head

    def promises(self) -> Mapping[str, object]:
        return {**super().promises(), "notes": (SUMMARY_NAME,)}
