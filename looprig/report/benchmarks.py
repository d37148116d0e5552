"""A comparison of users' benchmarks, for people and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looprig.report import judged
from looprig.report.figures import count
from looprig.report.table import Table, visible
from looprig.report.table import as_markdown as table_as_markdown
from looprig.report.table import as_text as table_as_text
from looprig.verdicts import Comparison, Verdict

SIDES = tuple[str, str]
"""What BEFORE and AFTER are called."""


def _table(found: Sequence[Comparison]) -> Table:
    return judged.table("benchmarks", "benchmark", found)


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
    return "\n".join([header(sides), "", table_as_text(_table(found), width), "", verdict_line(found)])


def as_markdown(found: Sequence[Comparison], sides: SIDES) -> str:
    """Return the whole page as Markdown, verdict first."""
    return "\n".join([f"## {verdict_line(found)}", "", header(sides), "", table_as_markdown(_table(found))])


def as_data(found: Sequence[Comparison], sides: SIDES) -> dict[str, Any]:
    """Return the comparison as data; times in microseconds, ratios of AFTER by BEFORE."""
    return {
        "schema_version": 1,
        "before": sides[0],
        "after": sides[1],
        "comparisons": [{"benchmark": each.scenario, **judged.as_data(each)} for each in found],
    }
