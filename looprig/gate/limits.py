"""What a metric may be: a small language for limits.

=================  =========================================================  ==============
``max 12000``      at most this value                                         no baseline
``min 0.8``        at least this value                                        no baseline
``no worse``       not worse than the baseline, by the metric's direction     a baseline
``+2 %``, ``+5``   at most so much above the baseline                         a baseline
``-2 %``, ``-5``   at most so much below the baseline                         a baseline
``unchanged``      what the baseline has, to the last digit                   a baseline
``any``            shown, never judged
=================  =========================================================  ==============

Several are joined by commas, and all of them must hold: ``max 12000, +2 %``. Values are in the metric's unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from looprig.metrics import METRICS, VIRTUAL_TIME, Metric

Kind = Literal["max", "min", "no worse", "above", "below", "unchanged", "any"]

_NUMBER = r"(\d[\d_]*(?:\.\d+)?)"
_ABSOLUTE = re.compile(rf"(max|min)\s+{_NUMBER}")
_ALLOWANCE = re.compile(rf"([+-])\s*{_NUMBER}\s*(%?)")
_WORDS: tuple[Kind, ...] = ("no worse", "unchanged", "any")

HOW = "write 'max N', 'min N', 'no worse', '+N %', '-N', 'unchanged' or 'any', several of them joined by commas"


class LimitError(ValueError):
    """A limit that cannot be read, or means nothing for its metric; the text says what to write."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition; ``amount`` is a value, or of ``above`` and ``below`` what may be added, as a share of the
    baseline where ``share`` says so.
    """

    kind: Kind
    amount: Fraction = Fraction(0)
    share: bool = False

    @property
    def needs_baseline(self) -> bool:
        """Whether it says nothing without a value to compare with."""
        return self.kind not in ("max", "min", "any")

    def bounds(self, metric: Metric, before: float | None) -> tuple[Fraction | None, Fraction | None]:
        """Return the least and the greatest value that keep it; None is no bound."""
        if self.kind in ("max", "min"):
            return (self.amount, None) if self.kind == "min" else (None, self.amount)
        if self.kind == "any" or before is None:
            return None, None
        base = exactly(before)
        if self.kind == "unchanged":
            return base, base
        if self.kind == "no worse":
            return (base, None) if metric.better == "higher" else (None, base)
        step = abs(base) * self.amount if self.share else self.amount
        return (None, base + step) if self.kind == "above" else (base - step, None)


@dataclass(frozen=True, slots=True)
class Limit:
    """What one metric may be, and the text that says so."""

    text: str
    clauses: tuple[Clause, ...]

    @property
    def needs_baseline(self) -> bool:
        """Whether any part of it says nothing without a baseline."""
        return any(clause.needs_baseline for clause in self.clauses)

    @property
    def judges(self) -> bool:
        """Whether it can be exceeded at all."""
        return any(clause.kind != "any" for clause in self.clauses)

    def bounds(self, metric: Metric, before: float | None) -> tuple[Fraction | None, Fraction | None]:
        """Return the least and the greatest value that keep all of it; None is no bound."""
        least, most = zip(*(clause.bounds(metric, before) for clause in self.clauses), strict=True)
        return (
            max((bound for bound in least if bound is not None), default=None),
            min((bound for bound in most if bound is not None), default=None),
        )

    def exceeded(self, metric: Metric, before: float | None, after: float) -> str | None:
        """Return in words how *after* exceeds it, or None; what needs a baseline is left out where there is none."""
        least, most = self.bounds(metric, before)
        value = exactly(after)
        if most is not None and value > most:
            return f"{plain(after)} is above {plain(float(most))}, the most that '{self.text}' allows"
        if least is not None and value < least:
            return f"{plain(after)} is below {plain(float(least))}, the least that '{self.text}' allows"
        return None


def exactly(value: float) -> Fraction:
    """Return the decimal fraction that *value* is written as: a limit of 7 % must not hang on binary rounding."""
    return Fraction(repr(value))


def plain(value: float) -> str:
    """Return *value* with as many digits as it has."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6g}"


def parse(text: str, name: str) -> Limit:
    """Read the limit of the metric *name*.

    Raises:
        LimitError: where it cannot be read, or cannot be meant for this metric.
    """
    limit = Limit(text, tuple(_clauses(text)))
    for clause in limit.clauses:
        _meant(clause, METRICS[name])
    return limit


def _clauses(text: str) -> Iterator[Clause]:
    for part in text.split(","):
        words = " ".join(part.split())
        if words in _WORDS:
            yield Clause(next(word for word in _WORDS if word == words))
        elif found := _ABSOLUTE.fullmatch(words):
            yield Clause("max" if found[1] == "max" else "min", _amount(found[2]))
        elif found := _ALLOWANCE.fullmatch(words):
            share = found[3] == "%"
            amount = _amount(found[2]) / 100 if share else _amount(found[2])
            yield Clause("above" if found[1] == "+" else "below", amount, share)
        else:
            raise LimitError(f"{part.strip()!r} is no limit; {HOW}")


def _amount(text: str) -> Fraction:
    return Fraction(text.replace("_", ""))


def _meant(clause: Clause, metric: Metric) -> None:
    """Refuse what would limit a gain, or hold one noisy value against another."""
    wrong_way = {"above": "higher", "below": "lower"}.get(clause.kind)
    if wrong_way is not None and metric.better == wrong_way:
        sign, other = ("+", "-") if clause.kind == "above" else ("-", "+")
        raise LimitError(
            f"{metric.name} is better when it is {wrong_way}: write '{other}', since '{sign}' limits a gain"
        )
    if clause.kind == "no worse" and metric.better == "neither":
        raise LimitError(f"neither direction of {metric.name} is worse: write 'unchanged', '+N %' or '-N %'")
    if metric.exact:
        return
    if metric.unit == "us" and clause.kind != "any":
        raise LimitError(
            f"{metric.name} is CPU time, of which one run decides nothing; it is judged in pairs, beside a git revision"
        )
    if clause.needs_baseline:
        raise LimitError(f"{metric.name} is not exact, so that one value beside another shows nothing; write 'max N'")


NO_WORSE = Limit("no worse", (Clause("no worse"),))
ANY = Limit("any", (Clause("any"),))


def default(name: str) -> Limit:
    """Return the limit of a metric that the configuration does not name: an exact one may not get worse."""
    metric = METRICS[name]
    return NO_WORSE if metric.exact and metric.better != "neither" else ANY


def exact(name: str, virtual: bool) -> bool:
    """Say whether the metric repeats to the last digit on the clock that is used."""
    return METRICS[name].exact and (virtual or name not in VIRTUAL_TIME)
