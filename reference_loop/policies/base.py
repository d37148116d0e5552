"""What a policy is; the control; and the seed's policies, with their faults. All lengths are numbers of messages."""

import sys
from collections import deque
from collections.abc import Mapping
from itertools import islice

from looprig.messages import Message
from reference_loop.errors import ConfigError

NEVER = sys.maxsize


def safe_size(pairs: int) -> int:
    """Return the length that utilisation is relative to."""
    return 2 * pairs + 5


class Policy:
    """The messages of one history: a head, which stays of those before the cut or stands for them, and the tail.

    A trim takes place above ``trigger``, 1.5 safe sizes by itself, and leaves ``target``, a message and 1.2 *pairs*.
    Raises ConfigError where that is more than sets it off.
    """

    due = due_after_turn = NEVER
    """With more messages than this ever said before, `trim` is to be called at once, or after the turn."""

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        self.trigger = 3 * safe_size(pairs) // 2 if trigger is None else trigger
        self.target = 1 + 2 * int(1.2 * pairs) if target is None else target
        if self.target > self.trigger:
            raise ConfigError(f"target {self.target} is above trigger {self.trigger}; lower it or raise the trigger")
        self.tail = deque[Message]()  # The messages from number `start` on; before them some that wait to be freed.
        self.start = self.waiting = self.dropped = 0

    def note(self, message: Message, number: int) -> None:
        """Hear of *message*, the newest, and prepare the next trim; the time does not depend on lengths."""

    def trim(self, turn_over: bool) -> None:
        """Move the cut."""

    def _move_cut(self, start: int) -> None:
        self.waiting += start - self.start
        self.start = start

    def head(self) -> list[Message]:
        return []

    def messages(self) -> list[Message]:
        """Return what is remembered, as a fresh list; that is ``dropped`` fewer than were said."""
        return [*self.head(), *islice(self.tail, self.waiting, None)]

    def promises(self) -> Mapping[str, object]:
        """Return what the policy promises; a check schedule that is too seldom for it breaks the promise."""
        return {"messages_max": self.trigger, "trigger": self.trigger, "target": self.target}


class Never(Policy):
    """The control: everything stays."""

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        if trigger is not None or target is not None:
            raise ConfigError("policy 'never' has no trigger and no target; leave them out or choose another policy")
        super().__init__(pairs)

    def promises(self) -> Mapping[str, object]:
        return {}


class Incremental(Policy):
    """Keep the first message and the newest, as the seed's benchmark did: groups are torn, and a user may be first."""

    target_after_turn: int | None = None

    def note(self, message: Message, number: int) -> None:
        if number == 0:
            self._first = message
        self._said, self.due = number + 1, self.dropped + self.trigger

    def trim(self, turn_over: bool) -> None:
        self.dropped = self._said - ((turn_over and self.target_after_turn) or self.target)
        self._move_cut(self.dropped + 1)

    def head(self) -> list[Message]:
        return [self._first] if self.start else []


class EndOfTurn(Incremental):
    """The seed's *before*: after each turn, and only then, keep the first message and the newest ``2 * pairs``."""

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        super().__init__(pairs, trigger or 2 * pairs + 1, target or 2 * pairs + 1)

    def note(self, message: Message, number: int) -> None:
        super().note(message, number)
        self.due, self.due_after_turn = NEVER, self.due

    def promises(self) -> Mapping[str, object]:
        return {"trigger": self.trigger, "target": self.target}


class Seed(Incremental):
    """The seed's *after*: as `Incremental`, with these limits, at tool results, and as `EndOfTurn` after each turn."""

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        super().__init__(pairs, trigger, target)
        self.target_after_turn = self._after = 2 * pairs + 1

    def note(self, message: Message, number: int) -> None:
        super().note(message, number)
        self.due_after_turn = self.dropped + self._after
        if message.role != "tool":
            self.due = NEVER

    def promises(self) -> Mapping[str, object]:
        least = {"trigger": min(self.trigger, self._after), "target": min(self.target, self._after)}
        return {**super().promises(), **least}
