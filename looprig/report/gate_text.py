"""A gate for a terminal or a log: tables, what is wrong and how to see it again, and the verdict last."""

from __future__ import annotations

from looprig.gate.checks import Gated, Status
from looprig.report import gate_words as words
from looprig.report.figures import count
from looprig.report.table import Column, Table, as_text, visible
from looprig.report.text import LEGEND, violation_lines


def page(gated: Gated, width: int | None = None) -> str:
    """Return the whole page without its last line."""
    lines = [words.header(gated), "", as_text(_scenarios(gated), width), ""]
    rows = words.changed(gated)
    if rows:
        lines += [as_text(words.changes_table(rows), width)]
    if gated.baseline:
        lines += [f"{count(words.unchanged(gated), 'metric')} unchanged against {gated.baseline}"]
    broken = violation_lines([(one.step, one.outcome) for one in gated.played])
    if gated.of(Status.BROKEN):
        lines += ["", "BROKEN", f"({LEGEND})", *broken]
    told = gated.of(Status.EXCEEDED, Status.UNDECIDED, Status.WAIVED)
    lines += ["", *(visible(line) for line in [*words.reasons(told), *words.left_out_lines(gated)])]
    return "\n".join([*lines, f"what now: {words.what_now(gated)}", ""])


def _scenarios(gated: Gated) -> Table:
    """One row a run: how much of it was judged, and how it ended."""
    rows = []
    for one in gated.played:
        mine = [check for check in gated.checks if check.scenario == one.label]
        judged = [check for check in mine if check.status is not Status.SKIPPED]
        worst = max((check.status for check in judged), key=list(Status).index, default=Status.SKIPPED)
        judgements = sum(one.outcome.judgements.values())
        rows.append([one.label, f"{judgements:,}", f"{len(judged):,}", f"{words.MARKS[worst]} {worst}"])
    columns = [Column("scenario"), Column("judgements", "right"), Column("checks", "right"), Column("verdict")]
    return Table("scenarios", columns, rows)
