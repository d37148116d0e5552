"""Growth for people: how each cost per message grows, and what a message costs in each doubling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looprig.growth import Growth
from looprig.report.table import Column, Table
from looprig.report.table import as_markdown as table_as_markdown
from looprig.report.table import as_text as table_as_text
from looprig.verdicts import Verdict

SCHEMA_VERSION = 1

NAMES = {
    "tokens": "tokens sent",
    "retained_bytes": "bytes kept per message held",
    "instructions": "instructions",
    "cpu_time": "CPU time, us",
}


def tables(found: Sequence[Growth]) -> list[Table]:
    """Return how each cost grows, and the costs themselves."""
    known = [growth for growth in found if growth.ratio is not None]
    return [_ratios(found), *([_costs(known)] if known else [])]


def _ratios(found: Sequence[Growth]) -> Table:
    rows = [
        [
            NAMES[growth.metric],
            "-" if growth.ratio is None else f"{growth.ratio:.3f}",
            _interval(growth),
            f"{growth.limit:.2f}",
            growth.word,
            str(growth.verdict),
        ]
        for growth in found
    ]
    columns = [
        Column("cost per message"),
        Column("last / first", "right"),
        Column("99 % bounds", "right", 1),
        Column("limit", "right"),
        Column("reads"),
        Column("verdict"),
    ]
    return Table("growth", columns, rows, [f"{NAMES[growth.metric]}: {growth.sentence}" for growth in found])


def _interval(growth: Growth) -> str:
    if growth.interval is None:
        return "-" if growth.ratio is None else "exact"
    return f"{growth.interval[0]:.3f} to {growth.interval[1]:.3f}"


def _costs(found: Sequence[Growth]) -> Table:
    """Return one row a cost, with a column for each doubling, by the length of the conversation at its end."""
    doublings = len(min(found, key=lambda growth: len(growth.costs)).costs)
    rows = [[NAMES[growth.metric], *(_cost(cost) for cost in growth.costs[-doublings:])] for growth in found]
    ends = found[0].ends[-doublings:]
    columns = [Column("cost per message"), *(Column(f"to {end:,}", "right") for end in ends)]
    return Table("by doubling of the conversation, in messages", columns, rows)


def _cost(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def verdict_line(found: Sequence[Growth]) -> str:
    """Return the last line: what grows beyond its limit, and what is undecided."""
    grown = [growth for growth in found if growth.verdict is Verdict.REGRESSED]
    undecided = sum(growth.verdict is Verdict.UNDECIDED for growth in found)
    rest = f"; {undecided} undecided" if undecided else ""
    if grown:
        return f"FAILED  cost per message grows: {', '.join(NAMES[growth.metric] for growth in grown)}{rest}"
    if undecided == len(found):
        return "UNDECIDED  nothing could be said of how cost grows"
    return f"PASSED  no cost per message grows beyond its limit{rest}"


def as_text(loop: str, found: Sequence[Growth], width: int | None = None) -> str:
    """Return the page for a terminal of *width* columns, or for a log, without its last line."""
    parts = [_header(loop, found), ""]
    for table in tables(found):
        parts += [table_as_text(table, width), ""]
    return "\n".join(parts)


def as_markdown(loop: str, found: Sequence[Growth]) -> str:
    """Return the page as Markdown, verdict first."""
    parts = [f"## {verdict_line(found)}", "", _header(loop, found), ""]
    for table in tables(found):
        parts += [table_as_markdown(table), ""]
    return "\n".join(parts)


def _header(loop: str, found: Sequence[Growth]) -> str:
    return f"loop: {loop}   scenario: {found[0].scenario}"


def as_data(loop: str, found: Sequence[Growth]) -> dict[str, Any]:
    """Return the growth as data, with every conversation's costs."""
    return {
        "schema_version": SCHEMA_VERSION,
        "loop": loop,
        "growth": [
            {
                "scenario": growth.scenario,
                "metric": growth.metric,
                "unit": growth.unit,
                "ends": growth.ends,
                "messages": growth.messages,
                "costs": growth.costs,
                "ratio": growth.ratio,
                "interval": growth.interval,
                "limit": growth.limit,
                "reads": growth.word,
                "verdict": str(growth.verdict),
                "sentence": growth.sentence,
                "note": growth.note,
                "raw": growth.raw,
            }
            for growth in found
        ],
    }
