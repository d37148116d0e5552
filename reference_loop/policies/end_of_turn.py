"""The seed's *before*: trim after each turn, and only then."""

from __future__ import annotations

from collections.abc import Sequence

from looprig.messages import Message
from reference_loop.policies.base import Trim, first_and_last, turn_end_limits


class EndOfTurn:
    """After each turn keep the first message and the newest ``2 * pairs``."""

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        self.limits = turn_end_limits(pairs).override(trigger, target)

    def trim(self, messages: Sequence[Message]) -> list[Message] | None:
        return first_and_last(messages, self.limits)

    def on_append(self, messages: Sequence[Message]) -> Trim | None:
        return None

    def on_turn_end(self, messages: Sequence[Message]) -> Trim | None:
        return self.trim if len(messages) > self.limits.trigger else None

    def promises(self) -> dict[str, int]:
        return self.limits._asdict()
