"""A histogram that adds up: quantiles of any number of values within half a percent, merged without loss.

The scheme is that of DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019, section 2.2): bucket i holds the values above
``g ** (i - 1)`` and up to ``g ** i``, with ``g = (1 + a) / (1 - a)`` for a relative error a; what is told of a bucket
is ``2 * g ** i / (g + 1)``, which no value inside is further from than a. Its buckets are fixed, not fitted to the
data, so that two histograms merge by adding counts: exactly, in any order, on whatever machine they were filled.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec
from msgspec import Meta

ERROR = 0.005
"""Relative error of a quantile: half of the percent that is promised, so that two roundings keep to it."""

LEAST = 1e-9
"""Smaller values, and 0, count as 0: below a nanosecond no clock tells anything."""

_BASE = (1 + ERROR) / (1 - ERROR)
_LOG = math.log(_BASE)
_MIDDLE = 2 / (_BASE + 1)
_BILLION = 1_000_000_000


class _Data(msgspec.Struct, forbid_unknown_fields=True):
    """How a histogram is written: the buckets in order, and the sum as whole units and billionths."""

    error: float
    zeros: Annotated[int, Meta(ge=0)]
    buckets: list[tuple[int, Annotated[int, Meta(ge=1)]]]
    total: tuple[Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=0, lt=_BILLION)]]
    least: Annotated[float, Meta(ge=0)] | None
    most: Annotated[float, Meta(ge=0)] | None


class Histogram:
    """Values of one kind: how many, their mean, the least and the most, and any quantile.

    Values are finite and not negative, in any one unit. ``count``, ``least`` and ``most`` are exact, ``mean`` is
    exact to a billionth, and a quantile is at most `ERROR` of its value away from a value that was added.
    """

    __slots__ = ("_billionths", "_buckets", "_zeros", "count", "least", "most")

    def __init__(self) -> None:
        self.count = 0
        self.least: float | None = None
        self.most: float | None = None
        self._zeros = 0
        self._buckets: dict[int, int] = {}
        # A sum of floats depends on their order; one of whole numbers does not.
        self._billionths = 0

    def add(self, value: float, count: int = 1) -> None:
        """Count *value* in, *count* times.

        Raises:
            ValueError: for a value that is negative, infinite or not a number, and for a negative count.
        """
        if not 0 <= value < math.inf:
            raise ValueError(f"a histogram holds numbers from 0 upwards, and no infinite ones; {value!r} is not one")
        if count <= 0:
            if count == 0:
                return
            raise ValueError(f"a value is counted in 0 times or more, not {count} times")
        if value < LEAST:
            self._zeros += count
        else:
            index = math.ceil(math.log(value) / _LOG)
            self._buckets[index] = self._buckets.get(index, 0) + count
        self.count += count
        self._billionths += round(value * _BILLION) * count
        if self.least is None or value < self.least:
            self.least = float(value)
        if self.most is None or value > self.most:
            self.most = float(value)

    def merge(self, other: Histogram) -> None:
        """Count in all that *other* holds: the same as if each value had been added here."""
        if other.least is None or other.most is None:
            return
        self.least = other.least if self.least is None else min(self.least, other.least)
        self.most = other.most if self.most is None else max(self.most, other.most)
        self.count += other.count
        self._zeros += other._zeros
        self._billionths += other._billionths
        for index, count in list(other._buckets.items()):  # a list, for other may be self
            self._buckets[index] = self._buckets.get(index, 0) + count

    @property
    def mean(self) -> float | None:
        """The mean, or None without values."""
        return self._billionths / (_BILLION * self.count) if self.count else None

    def quantile(self, q: float) -> float | None:
        """Return the value that a share *q* of the values does not exceed, or None without values.

        It stands for the ``ceil(q * count)``-th of the sorted values (at least the first): the inverse of the
        distribution function, Hyndman and Fan's first definition.

        Raises:
            ValueError: for a q outside 0 to 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile is from 0 to 1, as 0.95; {q!r} is not")
        if self.least is None or self.most is None:
            return None
        rank = max(1, math.ceil(q * self.count))
        if rank == 1:
            return self.least
        if rank == self.count:
            return self.most
        return min(max(self._at(rank), self.least), self.most)

    def _at(self, rank: int) -> float:
        """Return what stands for the value number *rank*, counted from 1."""
        seen = self._zeros
        if rank <= seen:
            return 0.0
        index = 0
        for index in sorted(self._buckets):
            seen += self._buckets[index]
            if rank <= seen:
                break
        return _value(index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self.to_builtins() == other.to_builtins()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<Histogram of {self.count}: least {self.least}, median {self.quantile(0.5)}, most {self.most}>"

    def to_builtins(self) -> dict[str, Any]:
        """Return numbers, lists and a dict, ready for JSON; equal histograms give equal ones."""
        return {
            "error": ERROR,
            "zeros": self._zeros,
            "buckets": [[index, self._buckets[index]] for index in sorted(self._buckets)],
            "total": list(divmod(self._billionths, _BILLION)),  # in two parts: JSON readers stop at 64 bits
            "least": self.least,
            "most": self.most,
        }

    @classmethod
    def from_builtins(cls, data: Any) -> Histogram:
        """Return the histogram that `to_builtins` wrote.

        Raises:
            ValueError: with what is wrong, where the data is not one, or has buckets of another width.
        """
        try:
            read = msgspec.convert(data, _Data, strict=True)
        except msgspec.ValidationError as error:
            raise ValueError(f"this is no histogram of looprig: {error}") from None
        if read.error != ERROR:
            raise ValueError(f"a histogram with a relative error of {read.error} does not merge with one of {ERROR}")
        made = cls()
        made._zeros = read.zeros
        made._buckets = dict(read.buckets)
        made.count = read.zeros + sum(made._buckets.values())
        made._billionths = read.total[0] * _BILLION + read.total[1]
        made.least, made.most = read.least, read.most
        if (made.count == 0) != (read.least is None) or (made.count == 0) != (read.most is None):
            raise ValueError("this is no histogram of looprig: its values do not go with its least and its most")
        if len(made._buckets) != len(read.buckets):
            raise ValueError("this is no histogram of looprig: it has a bucket twice")
        return made


def _value(index: int) -> float:
    """Return what is told of a bucket: the point from which both of its ends are equally far, in relation."""
    return _MIDDLE * math.exp(index * _LOG)
