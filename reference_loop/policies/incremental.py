"""The seed's incremental trim alone, as its benchmark ran it, with its faults.

It cuts groups apart, and takes whatever stands first for the system prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from looprig.messages import Message
from reference_loop.policies.base import Trim, first_and_last, incremental_limits


class Incremental:
    """Above the trigger keep the first message and the newest ``2 * int(1.2 * pairs)``."""

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        self.limits = incremental_limits(pairs).override(trigger, target)

    def trim(self, messages: Sequence[Message]) -> list[Message] | None:
        return first_and_last(messages, self.limits)

    def on_append(self, messages: Sequence[Message]) -> Trim | None:
        return self.trim if len(messages) > self.limits.trigger else None

    def on_turn_end(self, messages: Sequence[Message]) -> Trim | None:
        return None

    def promises(self) -> dict[str, int]:
        return {"messages_max": self.limits.trigger, **self.limits._asdict()}
