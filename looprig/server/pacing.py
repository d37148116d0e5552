"""How fast answers come: the time to the first token and between tokens, and streams that keep to it.

Every delta of a stream has a moment at which it is due, counted from the request's arrival, so that a late one does
not make all later ones late; those that are due at the same moment go out in one send.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import msgspec

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

TOGETHER_S = 0.0005
"""Events that are due within this time go out together."""

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0}
_DURATION = r"(\d+(?:\.\d+)?)(us|ms|s|)"
_LATENCY = re.compile(rf"(?:(lognormal):)?{_DURATION}(?:,(\d+(?:\.\d+)?))?(?:\+{_DURATION}/token)?")


class BadLatency(ValueError):
    """A latency that cannot be read; the text says how to write one."""


class Latency(msgspec.Struct, frozen=True):
    """A time: constant, or lognormal with a median and a sigma; and more for each token of the prompt.

    The tokens that count are those that a prompt cache does not have.
    """

    median_s: float
    sigma: float = 0.0
    per_token_s: float = 0.0

    def draw(self, random: Random, tokens: int = 0) -> float:
        """Return seconds for a prompt of *tokens*."""
        spread = random.lognormvariate(0.0, self.sigma) if self.sigma else 1.0
        return self.median_s * spread + self.per_token_s * tokens


def parse_latency(text: str) -> Latency:
    """Read ``200ms``, ``0.2s``, ``lognormal:200ms,0.5`` or one of these with ``+50us/token`` behind it.

    Raises:
        BadLatency: where it is none of these.
    """
    found = _LATENCY.fullmatch(text.replace(" ", ""))
    if found is None or bool(found[1]) != bool(found[4]):
        raise BadLatency(
            f"{text!r} is no latency: write 200ms, 0.2s or lognormal:MEDIAN,SIGMA (lognormal:200ms,0.5), "
            "and for each prompt token more: 200ms+50us/token"
        )
    _, median, unit, sigma, more, more_unit = found.groups()
    return Latency(
        float(median) * _UNITS[unit],
        float(sigma or 0.0),
        float(more) * _UNITS[more_unit] if more else 0.0,
    )


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """The latency model of a server: to the first token, between tokens, and how much each further open answer slows.

    With a load factor of 0.1 all times are twice as long when ten other answers are being given.
    """

    ttft: Latency | None = None
    itl: Latency | None = None
    load: float = 0.0
    seed: int = 1

    @property
    def any(self) -> bool:
        """Whether anything takes time."""
        return self.ttft is not None or self.itl is not None

    def dues(self, ident: str, tokens: int, uncached: int, others: int) -> list[float]:
        """Return for each of *tokens* deltas the seconds from the request to it.

        What is drawn depends on the seed and on *ident*, the answer's id, alone.
        """
        random = Random(f"{self.seed}/latency/{ident}") if self._is_random() else _NEVER
        slower = 1.0 + self.load * others
        at = self.ttft.draw(random, uncached) * slower if self.ttft is not None else 0.0
        if self.itl is None:
            return [at] * tokens
        if not self.itl.sigma:
            step = self.itl.draw(random, uncached) * slower
            return [at + step * number for number in range(tokens)]
        found = []
        for _ in range(tokens):
            found.append(at)
            at += self.itl.draw(random, uncached) * slower
        return found

    def _is_random(self) -> bool:
        return any(latency is not None and latency.sigma for latency in (self.ttft, self.itl))


_NEVER = Random(0)


class Alarm:
    """Waits for a moment, and wakes early where the client goes away meanwhile."""

    __slots__ = ("_events", "_waiter", "_watch", "gone")

    def __init__(self, receive: Receive) -> None:
        self.gone = False
        self._events = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._watch = self._events.create_task(self._watching(receive))

    async def _watching(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._waiter is not None:
            _wake(self._waiter)

    async def until(self, at: float) -> bool:
        """Wait until the event loop's clock shows *at*; return whether the client is still there."""
        if at > self._events.time() and not self.gone:
            self._waiter = self._events.create_future()
            handle = self._events.call_at(at, _wake, self._waiter)
            try:
                await self._waiter
            finally:
                handle.cancel()
        return not self.gone

    def close(self) -> None:
        """Stop watching."""
        self._watch.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def send_paced(parts: Sequence[tuple[float, bytes]], alarm: Alarm, send: Send) -> bool:
    """Send each part at its moment of the event loop's clock; return whether the client stayed to the last one.

    A client that reads slowly holds the sending up: what has become due meanwhile goes out in one send.
    """
    now = asyncio.get_running_loop().time
    number, count = 0, len(parts)
    while number < count:
        if not await alarm.until(parts[number][0]):
            return False
        last = now() + TOGETHER_S
        first = number
        number += 1
        while number < count and parts[number][0] <= last:
            number += 1
        body = parts[first][1] if number == first + 1 else b"".join(part for _, part in parts[first:number])
        await send({"type": "http.response.body", "body": body, "more_body": True})
    return not alarm.gone
