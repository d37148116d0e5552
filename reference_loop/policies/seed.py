"""The seed's *after*, as its loop ran it: incremental during tool execution, then end-of-turn."""

from __future__ import annotations

from collections.abc import Sequence

from looprig.messages import Message
from reference_loop.policies.base import Trim
from reference_loop.policies.end_of_turn import EndOfTurn
from reference_loop.policies.incremental import Incremental


class Seed:
    """Trim like `Incremental` when a tool result comes in, and like `EndOfTurn` after the turn.

    A trigger and a target that the user sets are those of the incremental half.
    """

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        self.during = Incremental(pairs, trigger, target)
        self.after = EndOfTurn(pairs)
        self.trim = self.after.trim

    def on_append(self, messages: Sequence[Message]) -> Trim | None:
        return self.during.on_append(messages) if messages[-1].role == "tool" else None

    def on_turn_end(self, messages: Sequence[Message]) -> Trim | None:
        return self.after.on_turn_end(messages)

    def promises(self) -> dict[str, int]:
        lowest = Incremental.promises(self.during)
        after = self.after.limits
        promised = {"trigger": min(lowest["trigger"], after.trigger), "target": after.target}
        return {"messages_max": lowest["messages_max"], **promised}
