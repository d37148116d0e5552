"""A policy that keeps every message, and of an old tool result only that it was there."""

from collections.abc import Mapping
from itertools import islice

from msgspec.structs import replace

from looprig.messages import Message
from reference_loop.policies.base import NEVER, Policy

MASK = "[old tool result removed]"


class Masking(Policy):
    """Above the trigger mask all tool results but those among the newest *target* messages, and those not yet sent.

    What a mask has passed counts no more: so masks come in batches, between which requests share their prefix.
    """

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        super().__init__(pairs, trigger, target)
        self._said = self._reply = 0
        self._passed: list[Message] = []

    def note(self, message: Message, number: int) -> None:
        self._said = number + 1
        if message.role == "assistant":
            self._reply = number
        self.due = self.start + self.trigger if self._reply > self.start else NEVER

    def trim(self, turn_over: bool) -> None:
        waiting = self.waiting
        self._move_cut(min(self._said - self.target, self._reply))
        old = islice(self.tail, waiting, self.waiting)
        self._passed += [replace(message, content=MASK) if message.role == "tool" else message for message in old]

    def head(self) -> list[Message]:
        return self._passed

    def promises(self) -> Mapping[str, object]:
        return {"mask": MASK}
