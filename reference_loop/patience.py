"""Waiting, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar


class TimedOut(Exception):
    """Something took longer than the loop allows; not a TimeoutError, which anybody may raise."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"timed out after {limit_s:g} s")


T = TypeVar("T")


async def within(limit_s: float | None, work: Awaitable[T]) -> T:
    """Await *work* for at most *limit_s* seconds; None means no limit, and then costs nothing.

    Raises:
        TimedOut: if it took longer. A TimeoutError that the work itself raises stays what it is.
    """
    if limit_s is None:
        return await work
    scope = asyncio.timeout(limit_s)
    try:
        async with scope:
            return await work
    except TimeoutError as error:
        if scope.expired():
            raise TimedOut(limit_s) from error
        raise
