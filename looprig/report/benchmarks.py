"""A comparison of users' benchmarks: one row each with its verdict, and what was judged and what was not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looprig.report.figures import count
from looprig.report.table import Column, Table, visible
from looprig.report.table import as_markdown as table_as_markdown
from looprig.report.table import as_text as table_as_text
from looprig.verdicts import Comparison, Verdict

SIDES = tuple[str, str]
"""What BEFORE and AFTER are called."""


def table(found: Sequence[Comparison]) -> Table:
    """Return a row for each benchmark, what was found first; below it each note, with whom it is about."""
    order = list(Verdict)
    rows = [
        [
            each.scenario,
            _time(each.before),
            _time(each.after),
            "-" if each.ratio is None else _percent(each.ratio),
            "-" if each.interval is None else " to ".join(map(_percent, each.interval)),
            str(each.verdict),
        ]
        for each in sorted(found, key=lambda each: -order.index(each.verdict))
    ]
    columns = [
        Column("benchmark"),
        Column("before", "right", 3),
        Column("after", "right", 2),
        Column("change", "right"),
        Column("between", "right", 1),
        Column("verdict"),
    ]
    return Table("benchmarks", columns, rows, _notes(found))


def _time(microseconds: float | None) -> str:
    if microseconds is None:
        return "-"
    for limit, factor, unit in ((1.0, 1e3, "ns"), (1e3, 1.0, "us"), (1e6, 1e-3, "ms")):
        if microseconds < limit:
            return f"{microseconds * factor:,.1f} {unit}"
    return f"{microseconds / 1e6:,.2f} s"


def _percent(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.1f} %"


def _notes(found: Sequence[Comparison]) -> list[str]:
    methods = [f"judged by: {method}" for method in dict.fromkeys(each.method for each in found if each.method)]
    about: dict[str, list[str]] = {}
    for each in found:
        if each.note:
            about.setdefault(each.note, []).append(each.scenario)
    return [
        *methods,
        *(
            f"{names[0] if len(names) == 1 else count(len(names), 'benchmark')}: {note}"
            for note, names in about.items()
        ),
    ]


def verdict_line(found: Sequence[Comparison]) -> str:
    """Return the last line: how many benchmarks came out how. Undecided is no pass, and no failure."""
    verdicts = [each.verdict for each in found]
    figures = ", ".join(f"{verdicts.count(word)} {word}" for word in Verdict if word is not Verdict.CHANGED)
    word = "FAILED" if Verdict.REGRESSED in verdicts else "UNDECIDED" if Verdict.UNDECIDED in verdicts else "PASSED"
    return f"{word}  {count(len(found), 'benchmark')}: {figures}"


def header(sides: SIDES) -> str:
    """Return one line that says what is compared."""
    return visible(f"before: {sides[0]}   after: {sides[1]}")


def as_text(found: Sequence[Comparison], sides: SIDES, width: int | None = None) -> str:
    """Return the whole page for a terminal of *width* columns, or for a log."""
    return "\n".join([header(sides), "", table_as_text(table(found), width), "", verdict_line(found)])


def as_markdown(found: Sequence[Comparison], sides: SIDES) -> str:
    """Return the whole page as Markdown, verdict first."""
    return "\n".join([f"## {verdict_line(found)}", "", header(sides), "", table_as_markdown(table(found))])


def as_data(found: Sequence[Comparison], sides: SIDES) -> dict[str, Any]:
    """Return the comparison as data; times in microseconds, ratios of AFTER by BEFORE."""
    return {
        "schema_version": 1,
        "before": sides[0],
        "after": sides[1],
        "comparisons": [
            {
                "benchmark": each.scenario,
                "metric": each.metric,
                "unit": each.unit,
                "before": each.before,
                "after": each.after,
                "verdict": str(each.verdict),
                "ratio": each.ratio,
                "interval": each.interval,
                "method": each.method,
                "note": each.note,
            }
            for each in found
        ],
    }
