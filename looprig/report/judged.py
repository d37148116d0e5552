"""What was judged by a test with an error rate: one row each with its verdict, and what was judged and what was not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looprig.report.figures import count, of_unit
from looprig.report.table import Column, Table
from looprig.verdicts import Comparison, Verdict


def table(title: str, noun: str, found: Sequence[Comparison]) -> Table:
    """Return a row for each comparison of a *noun*, what was found first; below it each note, with whom it is about."""
    order = list(Verdict)
    rows = [
        [
            each.scenario,
            each.metric,
            _value(each.before, each.unit),
            _value(each.after, each.unit),
            "-" if each.ratio is None else _percent(each.ratio),
            "-" if each.interval is None else " to ".join(map(_percent, each.interval)),
            str(each.verdict),
        ]
        for each in sorted(found, key=lambda each: -order.index(each.verdict))
    ]
    columns = [
        Column(noun),
        Column("metric"),
        Column("before", "right", 3),
        Column("after", "right", 2),
        Column("change", "right"),
        Column("between", "right", 1),
        Column("verdict"),
    ]
    return Table(title, columns, rows, _notes(noun, found))


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit != "us":
        return of_unit(value, unit) if unit == "bytes" or value >= 100 else f"{value:,.1f}"
    for limit, factor, name in ((1.0, 1e3, "ns"), (1e3, 1.0, "us"), (1e6, 1e-3, "ms")):
        if value < limit:
            return f"{value * factor:,.1f} {name}"
    return f"{value / 1e6:,.2f} s"


def _percent(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.1f} %"


def _notes(noun: str, found: Sequence[Comparison]) -> list[str]:
    methods = [
        f"{each.metric}: {each.method}" for each in {each.metric: each for each in found if each.method}.values()
    ]
    many = len({each.metric for each in found}) > 1
    about: dict[str, list[str]] = {}
    for each in found:
        if each.note:
            about.setdefault(f"{each.metric}: {each.note}" if many else each.note, []).append(each.scenario)
    return [
        *methods,
        *(f"{names[0] if len(names) == 1 else count(len(names), noun)}: {note}" for note, names in about.items()),
    ]


def as_data(each: Comparison) -> dict[str, Any]:
    """Return what was judged as data, but for its scenario; ratios are of AFTER by BEFORE."""
    return {
        "metric": each.metric,
        "unit": each.unit,
        "before": each.before,
        "after": each.after,
        "verdict": str(each.verdict),
        "layer": str(each.layer),
        "ratio": each.ratio,
        "interval": each.interval,
        "method": each.method,
        "note": each.note,
    }
