"""What a load run has to keep: a small language of thresholds, in the manner of k6.

``METRIC{turn=BUCKET}.STATISTIC OPERATOR NUMBER UNIT``, such as

=============================  ===================================================================
``ttft.p95 < 800ms``           a percentile, ``mean``, ``min`` or ``max`` of a metric of turns
``ttft{turn=10+}.p95 < 1.2s``  the same for some of them: turn 1, 2-4, 5-9 or 10+ of their session
``error_rate < 1%``            a share, of turns that ended
``goodput > 5``                a rate, in good turns per second
``gen.beat.p99 < 5ms``         how late the generator itself was
=============================  ===================================================================

A rule without data is missed, and says so. A percentile asks for at least five samples beyond it: 100 for p95, 500
for p99, 5,000 for p99.9. With fewer it is never met; it is missed where that is beyond doubt, and undecided otherwise.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NoReturn, Protocol

import msgspec

Kind = Literal["duration", "length", "share", "rate", "count"]
Verdict = Literal["met", "missed", "no data", "too few"]

METRICS: Mapping[str, Kind] = {
    "ttft": "duration",
    "ttft_send": "duration",
    "ttfo": "duration",
    "icl": "duration",
    "tpot": "duration",
    "e2e": "duration",
    "queue": "duration",
    "tool_chain": "duration",
    "trim_pause": "duration",
    "think": "duration",
    "history_messages": "length",
    "history_chars": "length",
    "tool_rounds": "length",
    "gen.send_lag": "duration",
    "gen.beat": "duration",
}
"""What there are histograms of, and so statistics."""

SCALARS: Mapping[str, Kind] = {
    "error_rate": "share",
    "good_fraction": "share",
    "goodput": "rate",
    "turns_per_s": "rate",
    "tokens_per_s": "rate",
    "offered": "count",
    "finished": "count",
    "failed": "count",
    "cancelled": "count",
    "dropped": "count",
    "sessions": "count",
}
"""What is one number for a run."""

BUCKETS = ("1", "2-4", "5-9", "10+")
"""Turns of a session, by their number in it."""

BEYOND = 5
"""How many samples have to lie beyond a percentile for it to be told."""

DOUBT = 0.001
"""How probable the data may be, at most, under a kept limit, for that limit to be missed beyond doubt."""

_UNITS: Mapping[Kind, Mapping[str, Fraction]] = {
    "duration": {"us": Fraction(1, 1_000_000), "ms": Fraction(1, 1_000), "s": Fraction(1)},
    "share": {"%": Fraction(1, 100), "": Fraction(1)},
    "rate": {"": Fraction(1), "/s": Fraction(1)},
    "length": {"": Fraction(1)},
    "count": {"": Fraction(1)},
}
_UNITS_SAID: Mapping[Kind, str] = {
    "duration": "is a duration: write 800ms, 0.8s or 500us",
    "share": "is a share: write 1% or 0.01",
    "rate": "is a rate per second: write a number alone, such as 5",
    "length": "is a length: write a number alone",
    "count": "is a count: write a number alone",
}

OPERATORS = ("<=", ">=", "==", "<", ">")
_STATISTICS = ("mean", "min", "max")


class ThresholdError(ValueError):
    """A threshold that cannot be read; the text says in which column, why, and what would be right."""


class Samples(Protocol):
    """What is asked of a histogram: see `looprig.load.histogram.Histogram`."""

    @property
    def count(self) -> int:
        """How many values it has."""
        ...

    @property
    def mean(self) -> float | None:
        """Their mean."""
        ...

    @property
    def least(self) -> float | None:
        """The least of them."""
        ...

    @property
    def most(self) -> float | None:
        """The greatest of them."""
        ...

    def quantile(self, q: float) -> float | None:
        """Return the value below which a share *q* of them lies."""
        ...


class Readings(Protocol):
    """What a rule is held against: see `looprig.load.readings.Readings`."""

    def samples(self, metric: str, bucket: str | None) -> Samples | None:
        """Return a metric's values, None where there are none."""
        ...

    def scalar(self, name: str) -> float | None:
        """Return one of `SCALARS`, None where it cannot be told."""
        ...


@dataclass(frozen=True, slots=True)
class Threshold:
    """A rule, read. ``limit`` is in seconds, a share of one, or the metric's own unit; ``quantile`` is exact."""

    text: str
    metric: str
    kind: Kind
    bucket: str | None
    statistic: str | None
    operator: str
    limit: float

    @property
    def quantile(self) -> Fraction | None:
        """The share that the percentile stands for, None where the rule has none."""
        if self.statistic is None or self.statistic in _STATISTICS:
            return None
        return Fraction(self.statistic[1:]) / 100

    @property
    def samples_needed(self) -> int:
        """How many samples it takes to call the rule met."""
        if self.quantile is None:
            return 1
        return math.ceil(BEYOND / min(self.quantile, 1 - self.quantile))

    def kept(self, value: float) -> bool:
        """Say whether *value* is within the limit."""
        match self.operator:
            case "<":
                return value < self.limit
            case "<=":
                return value <= self.limit
            case ">":
                return value > self.limit
            case ">=":
                return value >= self.limit
            case _:
                return value == self.limit


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold beside what was measured. ``value`` is in seconds, shares or counts, as ``limit`` is."""

    rule: str
    verdict: Verdict
    value: float | None
    limit: float
    unit: str
    samples: int | None
    because: str


# ---------------------------------------------------------------------------------------------------------------------
# Reading


class _Reader:
    """Walks through a rule's text; an error names the column at which it stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def take(self, pattern: str) -> str:
        """Return what *pattern* matches here, spaces before it left out; an empty text where it does not."""
        self.skip()
        found = re.compile(pattern).match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def skip(self) -> None:
        """Go past spaces."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def wrong(self, why: str, at: int | None = None) -> NoReturn:
        """Raise the error that names the column."""
        raise ThresholdError(f"{self.text!r}, column {(self.at if at is None else at) + 1}: {why}")

    def rest(self) -> str:
        """Return the next word, to be shown."""
        self.skip()
        return self.text[self.at :].split(" ", 1)[0]


def parse(text: str) -> Threshold:
    """Read a rule.

    Raises:
        ThresholdError: with the column, what is wrong there, and what is known.
    """
    reader = _Reader(text)
    metric, kind = _metric(reader)
    bucket = _bucket(reader, metric)
    statistic = _statistic(reader, metric)
    operator = reader.take("<=|>=|==|<|>")
    if not operator:
        reader.wrong(f"here has to be one of {' '.join(OPERATORS)}, not {reader.rest() or 'the end'!r}")
    limit = _limit(reader, metric, kind)
    if reader.rest():
        reader.wrong(f"the rule is over here, and {reader.rest()!r} is too much; give further rules one by one")
    return Threshold(text, metric, kind, bucket, statistic, operator, float(limit))


_FIRST = "a rule begins with a metric; there are {}"


def _metric(reader: _Reader) -> tuple[str, Kind]:
    reader.skip()
    start = reader.at
    name = reader.take(r"gen\.\w+|\w+")
    known = {**METRICS, **SCALARS}
    if name in known:
        return name, known[name]
    why = f"there is no metric {name!r}; {_hint(name, known)}" if name else _FIRST.format(", ".join(known))
    return reader.wrong(why, start)


def _bucket(reader: _Reader, metric: str) -> str | None:
    start = reader.at
    if not reader.take(r"\{"):
        return None
    if metric not in METRICS or metric.startswith("gen."):
        reader.wrong(f"{metric} is not told by turn: leave the braces out", start)
    key = reader.take(r"\w+")
    if key != "turn":
        reader.wrong(f"in braces stands turn=BUCKET, not {key or reader.rest()!r}", reader.at - len(key))
    if not reader.take("="):
        reader.wrong("here has to be =, as in {turn=10+}")
    reader.skip()
    at = reader.at
    value = reader.take(r"[^\s}]*")
    if value not in BUCKETS:
        reader.wrong(f"{value!r} is no bucket of turns; there are {', '.join(BUCKETS)}", at)
    if not reader.take(r"\}"):
        reader.wrong("here has to be }")
    return value


def _statistic(reader: _Reader, metric: str) -> str | None:
    reader.skip()
    start = reader.at
    if not reader.take(r"\."):
        if metric in METRICS:
            reader.wrong(f"{metric} has many values: say which, as in {metric}.p95; there are pN, mean, min and max")
        return None
    if metric not in METRICS:
        reader.wrong(f"{metric} is one number: leave the statistic out", start)
    reader.skip()
    at = reader.at
    name = reader.take(r"\w+(?:\.\d+)?")
    if name in _STATISTICS:
        return name
    found = re.fullmatch(r"p(\d+(?:\.\d+)?)", name)
    if found is None:
        close = difflib.get_close_matches(name, ("p50", "p90", "p95", "p99", "p99.9", *_STATISTICS), 1)
        said = f"did you mean {close[0]!r}?" if close else "write p50, p95, p99.9, mean, min or max"
        reader.wrong(f"{name or reader.rest()!r} is no statistic; {said}", at)
    if not 0 < Fraction(found[1]) < 100:
        reader.wrong(f"{name} is no percentile: it lies between p0 and p100; min and max are the ends", at)
    return name


def _limit(reader: _Reader, metric: str, kind: Kind) -> Fraction:
    number = reader.take(r"\d[\d_]*(?:\.\d+)?|\.\d+")
    if not number:
        reader.wrong(f"here has to be a number, not {reader.rest() or 'the end'!r}; {metric} {_UNITS_SAID[kind]}")
    reader.skip()
    at = reader.at
    unit = reader.take(r"[^\s\d]*")
    if unit not in _UNITS[kind]:
        what = f"{unit!r} does not fit" if unit else "the unit is missing"
        reader.wrong(f"{what}: {metric} {_UNITS_SAID[kind]}", at)
    return Fraction(number.replace("_", "")) * _UNITS[kind][unit]


def _hint(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"


def parse_slo(text: str) -> tuple[str, float]:
    """Read ``ttft=800ms``, what every good turn keeps; return the metric, and seconds.

    Raises:
        ThresholdError: where it cannot be read, or is no duration of one turn.
    """
    reader = _Reader(text)
    metric, kind = _metric(reader)
    if kind != "duration" or metric.startswith("gen.") or metric in ("icl", "think"):
        known = [name for name in METRICS if METRICS[name] == "duration" and name in OF_ONE_TURN]
        reader.wrong(f"{metric} is no duration of one turn; there are {', '.join(known)}", 0)
    if not reader.take("="):
        reader.wrong("here has to be =, as in ttft=800ms")
    limit = _limit(reader, metric, kind)
    if reader.rest():
        reader.wrong(f"{reader.rest()!r} is too much; give further limits one by one")
    if not limit:
        reader.wrong(f"no turn keeps a limit of 0: {metric} {_UNITS_SAID[kind]}", 0)
    return metric, float(limit)


OF_ONE_TURN = ("ttft", "ttft_send", "ttfo", "tpot", "e2e", "queue", "tool_chain", "trim_pause")
"""Durations of which a turn has one."""


# ---------------------------------------------------------------------------------------------------------------------
# Judging


def judge(threshold: Threshold, readings: Readings) -> Judged:
    """Hold a rule against what was measured."""
    if threshold.statistic is None:
        value, samples = readings.scalar(threshold.metric), None
        needed_more = False
    else:
        found = readings.samples(threshold.metric, threshold.bucket)
        samples = found.count if found is not None else 0
        value = _value(threshold, found) if found is not None and samples else None
        needed_more = value is not None and samples < threshold.samples_needed
        if found is not None and needed_more and not _beyond_doubt(threshold, found):
            return _told(threshold, "too few", value, samples)
    if value is None:
        return _told(threshold, "no data", None, samples)
    # With too few samples only a miss can have come so far, and the value shown has to be one.
    kept = threshold.kept(value) and not needed_more
    return _told(threshold, "met" if kept else "missed", value, samples)


def _told(threshold: Threshold, verdict: Verdict, value: float | None, samples: int | None) -> Judged:
    limit = shown(threshold.limit, threshold.kind)
    because = {
        "met": "",
        "missed": f"{shown(value, threshold.kind)} is not {threshold.operator} {limit}",
        "no data": f"nothing was measured of {threshold.metric}"
        + (f" in turns {threshold.bucket}" if threshold.bucket else "")
        + ": a rule without data is missed",
        "too few": f"n too small: {samples} samples, and {threshold.statistic} needs {threshold.samples_needed:,}; "
        "run longer, at a higher rate, or ask for a lower percentile",
    }[verdict]
    return Judged(
        rule=threshold.text,
        verdict=verdict,
        value=value,
        limit=threshold.limit,
        unit=unit_of(threshold.kind),
        samples=samples,
        because=because,
    )


def unit_of(kind: Kind) -> str:
    """Return the unit in which values of a kind are kept."""
    return {"duration": "s", "share": "share", "rate": "1/s", "length": "", "count": ""}[kind]


def shown(value: float | None, kind: Kind) -> str:
    """Return a value as people read it."""
    if value is None:
        return "-"
    match kind:
        case "duration":
            return f"{value * 1000:,.4g} ms" if value < 1 else f"{value:,.3f} s"
        case "share":
            return f"{value * 100:.3g} %"
        case "rate":
            return f"{value:,.4g}/s"
        case _:
            return f"{value:,.4g}" if value != int(value) else f"{value:,.0f}"


def _value(threshold: Threshold, samples: Samples) -> float | None:
    match threshold.statistic:
        case "mean":
            return samples.mean
        case "min":
            return samples.least
        case "max":
            return samples.most
    assert threshold.quantile is not None
    return samples.quantile(float(threshold.quantile))


ERROR = 0.01
"""The relative error of a histogram's quantiles."""


def _beyond_doubt(threshold: Threshold, samples: Samples) -> bool:
    """Say whether so few samples show all the same that the limit is missed.

    If the q-quantile of the distribution were below the limit, the number of n samples below it would be Bin(n, q) or
    more. So where the j-th smallest lies above the limit and P(Bin(n, q) < j) is at most `DOUBT`, it is not: the
    distribution-free confidence bound of a quantile (Conover, Practical Nonparametric Statistics, section 3.2).
    """
    q = threshold.quantile
    if q is None or threshold.operator == "==":
        return False
    n = samples.count
    upper = threshold.operator in ("<", "<=")
    rank = _rank(n, float(q if upper else 1 - q))
    if not rank:
        return False
    # Half a rank lower, so that no rule of interpolation between ranks reaches a greater one.
    at = samples.quantile((rank - 0.5) / n if upper else 1 - (rank - 0.5) / n)
    assert at is not None
    return at > threshold.limit * (1 + ERROR) if upper else at < threshold.limit * (1 - ERROR)


def _rank(n: int, q: float) -> int:
    """Return the greatest j with P(Bin(n, q) < j) <= DOUBT; 0 where there is none."""
    below, j = 0.0, 0
    while j < n:
        below += math.exp(
            math.lgamma(n + 1)
            - math.lgamma(j + 1)
            - math.lgamma(n - j + 1)
            + j * math.log(q)
            + (n - j) * math.log1p(-q)
        )
        if below > DOUBT:
            return j
        j += 1
    return n
