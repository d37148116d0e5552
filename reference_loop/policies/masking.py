"""A policy that keeps every message, and of an old tool result only that it was there."""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice

from msgspec.structs import replace

from looprig.messages import Message
from reference_loop.policies.base import NEVER, Policy

MASK = "[old tool result removed]"


class Masking(Policy):
    """Above the trigger mask all tool results but those among the newest *target* messages, and those not yet sent.

    What a mask has passed counts no more: so masks come in batches, between which requests share their prefix.
    """

    _appends = _reply = 0

    def note(self, message: Message, number: int, tail: deque[Message]) -> None:
        self._appends = number + 1
        if message.role == "assistant":
            self._reply, self.due = number, self._due

    def cut(self, messages: Iterator[Message], turn_over: bool) -> int:
        before = len(self.head)
        start = min(self._appends - self.target, self._reply)
        old = islice(messages, max(start - before, 0))
        self.head += [replace(message, content=MASK) if message.role == "tool" else message for message in old]
        self._due = len(self.head) + self.trigger
        self.due = NEVER if start == self._reply else self._due
        return len(self.head) - before

    def promises(self) -> Mapping[str, object]:
        return {"mask": MASK}
