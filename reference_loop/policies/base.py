"""What a policy is; the control; and the seed's policies, with their faults. All lengths are numbers of messages."""

import sys
from collections import deque
from collections.abc import Iterator, Mapping

from looprig.messages import Message
from reference_loop.errors import ConfigError

NEVER = sys.maxsize


def safe_size(pairs: int) -> int:
    """Return the length that utilisation is relative to."""
    return 2 * pairs + 5


class Policy:
    """How a history is trimmed: a cut puts `head` in place of all older messages.

    A policy hears of every message, and says in advance when it wants to be asked for a cut: so an append that
    trims nothing costs a comparison. It trims above ``trigger``, 1.5 safe sizes by itself, to ``target``, a message
    and 1.2 *pairs*; raises ConfigError where a trim would leave more than sets it off.
    """

    due_after_turn = NEVER
    """With more messages than this ever said, `cut` is to be asked after a turn; with more than ``due``, at once."""

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        self.trigger = 3 * safe_size(pairs) // 2 if trigger is None else trigger
        self.target = 1 + 2 * int(1.2 * pairs) if target is None else target
        if self.target > self.trigger:
            raise ConfigError(f"target {self.target} is above trigger {self.trigger}; lower it or raise the trigger")
        self.due = self._due = self.trigger
        self.head: list[Message] = []
        """What stays of the messages before the newest cut, or stands for them; only `cut` changes it."""

    def note(self, message: Message, number: int, tail: deque[Message]) -> None:
        """Hear of *message*, the newest of *tail*; its number counts from 0. The time does not depend on lengths."""

    def cut(self, messages: Iterator[Message], turn_over: bool) -> int:
        """Return how many of *messages*, those behind the newest cut, are before a new one; 0 where there is none."""
        return 0

    def promises(self) -> Mapping[str, object]:
        """Return what the policy promises; a check schedule that is too seldom for it breaks the promise."""
        return {"messages_max": self.trigger, "trigger": self.trigger, "target": self.target}


class Never(Policy):
    """The control: everything stays."""

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        if trigger is not None or target is not None:
            raise ConfigError("policy 'never' has no trigger and no target; leave them out or choose another policy")
        super().__init__(pairs)
        self.due = NEVER

    def promises(self) -> Mapping[str, object]:
        return {}


class Incremental(Policy):
    """Keep the first message and the newest, as the seed's benchmark did: groups are torn, and a user may be first."""

    after = 0
    """The target after a turn, where that is another."""
    _appends = _dropped = 0

    def note(self, message: Message, number: int, tail: deque[Message]) -> None:
        if number == 0:
            self._first = message
        self._appends, self.due = number + 1, self._dropped + self.trigger

    def cut(self, messages: Iterator[Message], turn_over: bool) -> int:
        before = self._dropped + len(self.head)
        self._dropped = self._appends - (self.after if turn_over and self.after else self.target)
        self.head = [self._first]
        return self._dropped + 1 - before


class EndOfTurn(Incremental):
    """The seed's *before*: after each turn, and only then, keep the first message and the newest ``2 * pairs``."""

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        super().__init__(pairs, trigger or 2 * pairs + 1, target or 2 * pairs + 1)

    def note(self, message: Message, number: int, tail: deque[Message]) -> None:
        super().note(message, number, tail)
        self.due, self.due_after_turn = NEVER, self.due

    def promises(self) -> Mapping[str, object]:
        return {"trigger": self.trigger, "target": self.target}


class Seed(Incremental):
    """The seed's *after*: as `Incremental`, with these limits, at tool results, and as `EndOfTurn` after each turn."""

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        super().__init__(pairs, trigger, target)
        self.after = 2 * pairs + 1

    def note(self, message: Message, number: int, tail: deque[Message]) -> None:
        super().note(message, number, tail)
        self.due = self.due if message.role == "tool" else NEVER
        self.due_after_turn = self._dropped + self.after

    def promises(self) -> Mapping[str, object]:
        least = {"trigger": min(self.trigger, self.after), "target": min(self.target, self.after)}
        return {**super().promises(), **least}
