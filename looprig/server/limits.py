"""Rate limits: token buckets for requests and for tokens per minute, one pair for each API key."""

from __future__ import annotations

from typing import NamedTuple


class Bucket:
    """Holds at most *limit* and gets as much back in a minute."""

    __slots__ = ("_at", "_left", "limit")

    def __init__(self, limit: int, now: float) -> None:
        self.limit = limit
        self._left = float(limit)
        self._at = now

    def fill(self, now: float) -> float:
        """Return what is in it at *now*."""
        self._left = min(float(self.limit), self._left + (now - self._at) * self.limit / 60)
        self._at = now
        return self._left

    def take(self, amount: float, now: float) -> float:
        """Take *amount* and return 0, or take nothing and return the seconds after which it would be there.

        What is more than the bucket ever holds is let through once the bucket is full.
        """
        left = self.fill(now)
        wanted = min(amount, float(self.limit))
        if left + 1e-9 < wanted:
            return (wanted - left) * 60 / self.limit
        self._left = left - wanted
        return 0.0

    def told(self) -> tuple[int, int, float]:
        """Return limit, what remains of it, and the seconds until it is full again."""
        return self.limit, int(self._left), (self.limit - self._left) * 60 / self.limit


class OverLimit(NamedTuple):
    """Which limit a request has met: ``requests`` or ``tokens``, with the figures that a provider tells."""

    kind: str
    limit: int
    used: int
    requested: int
    retry_s: float


class Limits:
    """The buckets of one API key."""

    def __init__(self, requests: int | None, tokens: int | None, now: float) -> None:
        self._buckets = {
            kind: Bucket(limit, now)
            for kind, limit in (("requests", requests), ("tokens", tokens))
            if limit is not None
        }

    def take(self, kind: str, amount: int, now: float) -> OverLimit | None:
        """Take *amount* of one kind; return None, or what stands against it."""
        bucket = self._buckets.get(kind)
        wait_s = 0.0 if bucket is None else bucket.take(amount, now)
        if bucket is None or not wait_s:
            return None
        limit, left, _ = bucket.told()
        return OverLimit(kind, limit, limit - left, amount, wait_s)

    def told(self) -> dict[str, tuple[int, int, float]]:
        """Return limit, remaining and seconds to the reset of each kind that is limited."""
        return {kind: bucket.told() for kind, bucket in self._buckets.items()}
