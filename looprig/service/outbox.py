"""What is on its way to a client: put there when it happens, sent by whoever holds the connection.

What is put there at one moment goes out in one piece. So a turn needs no task for each token, and a loop never waits
for a client that reads slowly.
"""

from __future__ import annotations

import asyncio


class Outbox:
    """One turn's bytes. ``put`` and ``close`` belong to the event loop; see `put_from_thread` for other threads."""

    __slots__ = ("_events", "_parts", "_waiter", "closed", "quiet_since", "torn")

    def __init__(self) -> None:
        self._events = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self.closed = False
        self.torn = False
        """Closed in the middle: what the client gets has no end."""
        self.quiet_since = self._events.time()

    def put(self, part: bytes) -> None:
        """Add what is to be sent next."""
        if part and not self.closed:
            self._parts.append(part)
            self._wake()

    def put_from_thread(self, part: bytes) -> None:
        """Add what is to be sent next, from another thread than the event loop's."""
        if part:
            self._events.call_soon_threadsafe(self.put, part)

    def close(self, torn: bool = False) -> None:
        """Nothing more will be put."""
        self.closed, self.torn = True, self.torn or torn
        self._wake()

    def tear_from_thread(self) -> None:
        """Close in the middle, from another thread than the event loop's."""
        self._events.call_soon_threadsafe(self.close, True)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> bytes:
        """Wait until there is something, and return all of it; nothing at all means that the end has come."""
        if not self._parts and not self.closed:
            self._waiter = self._events.create_future()
            await self._waiter
        taken = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self.quiet_since = self._events.time()
        return taken
