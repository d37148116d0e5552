"""How fast answers come: the time to the first token and between tokens.

Every delta of a stream has a moment at which it is due, counted from the request's arrival, so that a late one does
not make all later ones late.
"""

from __future__ import annotations

import re
from random import Random

import msgspec

_UNITS = {"us": 1_000_000, "ms": 1_000, "s": 1, "": 1}
"""How many of a unit make a second."""

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
        float(median) / _UNITS[unit],
        float(sigma or 0.0),
        float(more) / _UNITS[more_unit] if more else 0.0,
    )


def parse_duration(text: str) -> float:
    """Read ``300ms``, ``2s``, ``15m`` or ``0.5`` as seconds.

    Raises:
        BadLatency: where it is none of these.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(us|ms|s|m|)", text.strip(), re.ASCII)
    if found is None:
        raise BadLatency(f"{text!r} is no time: write 300ms, 2s, 15m or 0.5")
    return float(found[1]) * 60 if found[2] == "m" else float(found[1]) / _UNITS[found[2]]


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

TOKEN_CHARS = 4
"""Characters of a streamed piece; a token of the estimate has as many."""


def cut(text: str, size: int = TOKEN_CHARS) -> list[str]:
    """Cut *text* into pieces of *size* characters, each of which stands for a token."""
    return [text[start : start + size] for start in range(0, len(text), size)]
