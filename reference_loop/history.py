"""The messages that the loop remembers, and when they are trimmed."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from looprig.messages import Message
from reference_loop.monitor import Monitor, NullMonitor
from reference_loop.policies.base import Policy


class History:
    """Messages in order. The trigger is checked after append number 0, *check_every*, 2 * *check_every* and so on."""

    def __init__(self, policy: Policy, *, check_every: int = 1, monitor: Monitor | None = None) -> None:
        self._policy = policy
        self._check_every = check_every
        self._monitor = monitor or NullMonitor()
        self._tail: deque[Message] = deque()
        """All messages behind the policy's head; before them some that were dropped and are not freed yet."""
        self._dropped = self._appends = 0
        self.journal: Callable[[Message], None] | None = None
        """Hears every message before any trim."""
        self._listeners: list[Any] = []
        self.observe = self._listeners.append
        """Add a listener: ``appended(length)`` hears of each append, before any trim, and ``trimmed(before, after,
        pause_ns)`` of each trim, with the CPU time that it took."""

    def __len__(self) -> int:
        return len(self._policy.head) + len(self._tail) - self._dropped

    def append(self, message: Message) -> None:
        """Remember *message*, and trim if that is due."""
        number, tail, policy = self._appends, self._tail, self._policy
        self._appends = number + 1
        tail.append(message)
        policy.note(message, number, tail)
        if self.journal is not None:
            self.journal(message)
        if self._listeners:  # An empty loop would cost twice the question.
            for listener in self._listeners:
                listener.appended(len(self))
        if self._dropped > 1:  # Freed by twos, so that no append pays for all that a trim dropped.
            self._dropped -= 2
            tail.popleft()
            tail.popleft()
        if number >= policy.due and number % self._check_every == 0:
            self._trim(turn_over=False)

    def end_turn(self) -> None:
        """The turn is over: trim if that is due now."""
        if self._appends > self._policy.due_after_turn:
            self._trim(turn_over=True)

    def _trim(self, turn_over: bool) -> None:
        before = len(self)
        with self._monitor.span("memory_management"):
            # The thread's own time: a pause that another process causes is not the policy's. int() is 0, for nobody.
            clock = time.thread_time_ns if self._listeners else int
            started_ns = clock()
            left = self._policy.cut(islice(self._tail, self._dropped, None), turn_over)
            pause_ns = clock() - started_ns
        self._dropped += left
        for listener in self._listeners if left else ():
            listener.trimmed(before, len(self), pause_ns)

    def snapshot(self) -> tuple[Message, ...]:
        """Return a copy that nothing changes any more."""
        return tuple(self.request())

    def request(self, context: Message | None = None) -> list[Message]:
        """Return a fresh list for the model, with *context* right before the newest user message, if there is one."""
        messages = [*self._policy.head, *islice(self._tail, self._dropped, None)]
        users = (index for index in range(len(messages) - 1, -1, -1) if messages[index].role == "user")
        if context is not None and (newest := next(users, None)) is not None:
            messages.insert(newest, context)
        return messages


def pure_trim(new_policy: Callable[[], Policy]) -> Callable[[Sequence[Message]], list[Message]] | None:
    """Return a policy's trim as a pure function, which is asked once; None for a policy that promises nothing."""
    if not new_policy().promises():
        return None

    def trim(messages: Sequence[Message]) -> list[Message]:
        policy, tail, left = new_policy(), deque[Message](), 0
        for number, message in enumerate(messages):
            tail.append(message)
            policy.note(message, number, tail)
        if (turn_over := len(tail) > policy.due_after_turn) or len(tail) > policy.due:
            left = policy.cut(iter(tail), turn_over)
        return [*policy.head, *islice(tail, left, None)]

    return trim
