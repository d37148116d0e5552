"""The messages that the loop remembers, and when they are trimmed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from looprig.messages import Message
from reference_loop.monitor import Monitor, NullMonitor
from reference_loop.policies import HistoryPolicy, Trim


class HistoryListener(Protocol):
    """Hears what happens to a history."""

    def appended(self, length: int) -> None:
        """One message was appended; the history now has *length* messages, before any trim."""
        ...

    def trimmed(self, before: int, after: int, pause_ns: int) -> None:
        """A trim took the history from *before* to *after* messages, and took *pause_ns* of CPU time."""
        ...


class History:
    """Messages in order. The trigger is checked after append number 0, *check_every*, 2 * *check_every* and so on."""

    def __init__(self, policy: HistoryPolicy, *, check_every: int = 1, monitor: Monitor | None = None) -> None:
        self._messages: list[Message] = []
        self._policy = policy
        self._check_every = check_every
        self._appends = 0
        self._listeners: list[HistoryListener] = []
        self._monitor = monitor or NullMonitor()
        self.journal: Callable[[Message], None] | None = None
        """Hears every message before any trim."""

    def __len__(self) -> int:
        return len(self._messages)

    def snapshot(self) -> tuple[Message, ...]:
        """Return a copy that nothing changes any more."""
        return tuple(self._messages)

    def observe(self, listener: HistoryListener) -> None:
        self._listeners.append(listener)

    def append(self, message: Message) -> None:
        """Remember *message*, and trim if that is due."""
        messages = self._messages
        number = self._appends
        self._appends = number + 1
        messages.append(message)
        if self.journal is not None:
            self.journal(message)
        for listener in self._listeners:
            listener.appended(len(messages))
        if number % self._check_every == 0 and (trim := self._policy.on_append(messages)) is not None:
            self._run(trim)

    def end_turn(self) -> None:
        """The turn is over: trim if that is due now."""
        if (trim := self._policy.on_turn_end(self._messages)) is not None:
            self._run(trim)

    def request(self, context: Message | None = None) -> list[Message]:
        """Return a fresh list for the model, with *context* right before the newest user message.

        Where a policy has dropped every user message, the context has lost its place and stays away.
        """
        messages = self._messages.copy()
        if context is None:
            return messages
        for index in range(len(messages) - 1, -1, -1):
            if messages[index].role == "user":
                messages.insert(index, context)
                break
        return messages

    def _run(self, trim: Trim) -> None:
        before = len(self._messages)
        with self._monitor.span("memory_management"):
            # The thread's own time: a pause that another process causes is not the policy's.
            started_ns = time.thread_time_ns()
            kept = trim(self._messages)
            pause_ns = time.thread_time_ns() - started_ns
        if kept is None:
            return
        self._messages = kept
        for listener in self._listeners:
            listener.trimmed(before, len(kept), pause_ns)
