"""Reads bodies, sends what has a moment at which it is due, and notices a client that goes away meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

TOGETHER_S = 0.0005
"""Parts that are due within this time go out together."""


class Alarm:
    """Waits for a moment, and wakes early where the client goes away or the waiting is ended."""

    __slots__ = ("_events", "_waiter", "_watch", "over")

    def __init__(self, receive: Receive) -> None:
        self.over = False
        self._events = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._watch = self._events.create_task(self._watching(receive))

    async def _watching(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.end()

    async def until(self, at: float) -> bool:
        """Wait until the event loop's clock shows *at*; return whether there is still somebody to wait for."""
        if not self.over and at > self._events.time():
            self._waiter = self._events.create_future()
            timer = self._events.call_at(at, _wake, self._waiter)
            try:
                await self._waiter
            finally:
                timer.cancel()
        return not self.over

    def end(self) -> None:
        """Wait no more."""
        self.over = True
        if self._waiter is not None:
            _wake(self._waiter)

    def close(self) -> None:
        """Stop watching the client."""
        self._watch.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def send_paced(parts: Sequence[tuple[float, bytes]], alarm: Alarm, send: Send) -> bool:
    """Send each part at its moment of the event loop's clock; return whether the client stayed to the last one.

    A client that reads slowly holds the sending up; what has become due meanwhile goes out in one piece.
    """
    now = asyncio.get_running_loop().time
    at, count = 0, len(parts)
    while at < count:
        if not await alarm.until(parts[at][0]):
            return False
        first, last = at, now() + TOGETHER_S
        at += 1
        while at < count and parts[at][0] <= last:
            at += 1
        body = b"".join([part for _, part in parts[first:at]])
        await send({"type": "http.response.body", "body": body, "more_body": True})
    return not alarm.over


async def until(at: float) -> None:
    """Wait until the event loop's clock shows *at*; a moment that is over is not waited for."""
    events = asyncio.get_running_loop()
    if at <= events.time():
        return
    waiter = events.create_future()
    timer = events.call_at(at, _wake, waiter)
    try:
        await waiter
    finally:
        timer.cancel()


async def whole_body(first: bytes, receive: Receive, most: int) -> bytes | None:
    """Read the rest of a body that comes in pieces, to its end; return None where it has more than *most* bytes."""
    parts, size = [first], len(first)
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        size += len(part)
        if size <= most:
            parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts) if size <= most else None
