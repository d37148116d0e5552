"""A gate as Markdown: one comment on a pull request that is found again and edited, and a step's summary.

The comment has the verdict first, only the rows that changed, and one line that says what to do now. GitHub takes
65,536 characters; what would not fit is counted, not cut in the middle.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from looprig.exits import Exit
from looprig.gate.checks import Check, Gated, Status
from looprig.report import gate_words as words
from looprig.report.figures import count
from looprig.report.table import as_markdown, escaped, visible

MARKER = "<!-- looprig:gate -->"
"""The comment's first line, by which it is found again; nobody sees it."""

COMMENT_MAX = 60_000
"""Bytes; GitHub's own limit is a little above."""

SUMMARY_MAX = 900_000
"""Bytes; a step's summary may have 1 MiB."""

SIGNS = {
    Exit.PASSED: "✅",
    Exit.VIOLATED: "❌",
    Exit.REGRESSED: "❌",
    Exit.UNDECIDED: "❔",
    Exit.NOTHING_RAN: "❔",
}

LINE_MAX = 600
"""Characters of one line of reasons: a loop's own texts can be long."""


def comment(gated: Gated) -> str:
    """Return the comment of a pull request, always below `COMMENT_MAX` bytes."""
    return _fitting(gated, MARKER, COMMENT_MAX)


def summary(gated: Gated) -> str:
    """Return the summary of a step: the comment's page without its mark, and with more room."""
    return _fitting(gated, "", SUMMARY_MAX)


def of_problem(text: str, *, marked: bool = True) -> str:
    """Return the page of a gate that could not start."""
    head = f"{MARKER}\n" if marked else ""
    return f"{head}### ❔ looprig gate could not start\n\n{_line(text)}\n\n**What now:** mend it as it says there.\n"


def _fitting(gated: Gated, mark: str, most: int) -> str:
    """Return the page with as many rows and reasons as fit."""
    rows, told = words.changed(gated), words.bad(gated) + gated.of(Status.WAIVED)
    shown = min(max(len(rows), len(told)), most // 50)  # no row is shorter
    while True:
        page = _page(gated, mark, rows[:shown], told[:shown], (len(rows), len(told)))
        if len(page.encode()) <= most or not shown:
            return page
        shown = shown * most // (2 * max(most, len(page.encode()))) if shown > 1 else 0


def _page(gated: Gated, mark: str, rows: Sequence[Check], told: Sequence[Check], of: tuple[int, int]) -> str:
    code = gated.exit
    parts = [f"{mark}\n" if mark else "", f"### {SIGNS[code]} looprig gate: {escaped(words.title(gated))}\n\n"]
    if rows:
        parts += [_table(rows), "\n\n"]
    parts += [_more(of[0] - len(rows), "row"), _reasons(told), _more(of[1] - len(told), "reason")]
    text, command = words.advice(gated)
    parts.append(f"**What now:** {_line(text)}{f': {_code(command)}' if command else ''}\n\n")
    parts.append(_details(gated))
    return "".join(parts)


def _table(rows: Sequence[Check]) -> str:
    return as_markdown(words.changes_table(rows)).partition("\n\n")[2].strip()  # the page has a title


def _reasons(told: Sequence[Check]) -> str:
    lines = [_line(line) for line in words.reasons(told)]
    return "".join(f"- {line}\n" for line in lines) + ("\n" if lines else "")


def _more(number: int, what: str) -> str:
    return f"... and {count(number, 'more ' + what)}, which the JSON and JUnit files hold.\n\n" if number > 0 else ""


def _details(gated: Gated) -> str:
    lines = [words.header(gated)]
    if gated.baseline:
        lines.append(f"{count(words.unchanged(gated), 'metric')} unchanged against {gated.baseline}")
    lines += words.left_out_lines(gated)
    body = "".join(f"- {_line(line)}\n" for line in lines)
    return f"<details><summary>How this was judged</summary>\n\n{body}\n</details>\n"


def _code(text: str) -> str:
    """Return *text* as a span of code that nothing in it can end."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{visible(text)}{pad}{fence}"


def _line(text: str) -> str:
    text = visible(text)
    return escaped(text if len(text) <= LINE_MAX else f"{text[:LINE_MAX]} ...")
