"""The results of a suite as a Markdown page."""

from __future__ import annotations

from collections.abc import Sequence

from looprig.report import text
from looprig.report.table import as_markdown, escaped
from looprig.runner import Outcome
from looprig.suite import Step


def run_page(done: Sequence[tuple[Step, Outcome]], error: str | None = None) -> str:
    """Return verdict first, then the tables, then what was broken."""
    if not done:
        return f"## looprig: nothing was run\n\n{escaped(error or '')}"
    lines = [f"## {text.verdict_line(done)}", "", text.header(done), ""]
    if error is not None:
        lines += [f"**Ended early:** {escaped(error)}", ""]
    for table in (text.scenarios_table(done), text.invariants_table(done), text.costs_table(done)):
        lines += [as_markdown(table), ""]
    broken = text.violation_lines(done)
    if broken:
        lines += ["### broken", "", "```text", text.LEGEND, *broken, "```"]
    return "\n".join(lines)
