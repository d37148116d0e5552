"""The messages that the loop remembers, and when they are trimmed."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from looprig.messages import Message
from reference_loop.monitor import Monitor, NullMonitor
from reference_loop.policies.base import Policy


class History:
    """Messages in order. The trigger is checked after append number 0, *check_every*, 2 * *check_every* and so on."""

    def __init__(self, policy: Policy, *, check_every: int = 1, monitor: Monitor | None = None) -> None:
        self._policy, self._check_every, self._monitor = policy, check_every, monitor or NullMonitor()
        self._trim = policy.trim if monitor is None else self._measured_trim
        self._said = 0
        self._listeners: list[Any] = []
        self.hears: list[Callable[[Message], None]] = []
        """Called with every message before any trim."""

    def observe(self, listener: Any) -> None:
        """Add a listener: ``appended(length)`` hears of each append, before any trim, and ``trimmed(before, after,
        pause_ns)`` of each trim, with the CPU time that it took."""
        self._listeners.append(listener)
        self.hears.append(lambda message: listener.appended(len(self)))
        self._trim = self._measured_trim

    def __len__(self) -> int:
        return self._said - self._policy.dropped

    def append(self, message: Message) -> None:
        """Remember *message*, and trim if that is due."""
        number, policy, tail = self._said, self._policy, self._policy.tail
        self._said = number + 1
        tail.append(message)
        policy.note(message, number)
        if self.hears:  # An empty loop would cost twice the question.
            for hear in self.hears:
                hear(message)
        if policy.waiting > 1:  # Freed by twos, so that no append pays for all that a trim dropped.
            policy.waiting -= 2
            tail.popleft()
            tail.popleft()
        if number >= policy.due and number % self._check_every == 0:
            self._trim(False)

    def end_turn(self) -> None:
        """The turn is over: trim if that is due now."""
        if self._said > self._policy.due_after_turn:
            self._trim(True)

    def _measured_trim(self, turn_over: bool) -> None:
        before, start = len(self), self._policy.start
        with self._monitor.span("memory_management"):
            started_ns = time.thread_time_ns()  # The thread's own: a pause that others cause is not the policy's.
            self._policy.trim(turn_over)
            pause_ns = time.thread_time_ns() - started_ns
        for listener in self._listeners if self._policy.start > start else ():
            listener.trimmed(before, len(self), pause_ns)

    def request(self, context: Message | None = None) -> list[Message]:
        """Return a fresh list for the model, with *context* right before the newest user message, if there is one."""
        messages = self._policy.messages()
        users = (index for index in range(len(messages) - 1, -1, -1) if messages[index].role == "user")
        if context is not None and (newest := next(users, None)) is not None:
            messages.insert(newest, context)
        return messages


def pure_trim(new_policy: Callable[[], Policy]) -> Callable[[Sequence[Message]], list[Message]] | None:
    """Return a policy's trim as a pure function, which is asked once; None for a policy that promises nothing."""

    def trim(messages: Sequence[Message]) -> list[Message]:
        policy = new_policy()
        for number, message in enumerate(messages):
            policy.tail.append(message)
            policy.note(message, number)
        if (turn_over := len(messages) > policy.due_after_turn) or len(messages) > policy.due:
            policy.trim(turn_over)
        return policy.messages()

    return trim if new_policy().promises() else None
