"""One table model, and its writers: plain text for terminals and logs, and Markdown.

Cells are text that was formatted before; tabulate only lays them out. It is told never to
read numbers out of text, because a commit such as ``1e5`` would become ``100000``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tabulate import tabulate


@dataclass(frozen=True, slots=True)
class Column:
    """A column's header, the side on which its cells line up, and when it is left out.

    Where a terminal is too narrow, columns go from the highest ``drop`` down; those with 0 always stay.
    """

    header: str
    align: Literal["left", "right"] = "left"
    drop: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A title, columns, rows of cells, and notes under the table."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def as_text(table: Table, width: int | None = None) -> str:
    """Return the table for a terminal of *width* columns, or for a log: no colour, no control characters."""
    text = _laid_out(table)
    while width is not None and _width_of(table, text) > width:
        narrower = _narrower(table)
        if narrower is None:
            break
        table = narrower
        text = _laid_out(table)
    return text


def _width_of(table: Table, text: str) -> int:
    """Return the width of the table's body; notes may wrap."""
    return max(len(line) for line in text.splitlines()[1 : 3 + len(table.rows)])


def _narrower(table: Table) -> Table | None:
    """Return the table without its least important column, or None where all have to stay."""
    last = max(range(len(table.columns)), key=lambda index: table.columns[index].drop)
    if not table.columns[last].drop:
        return None
    columns = [column for index, column in enumerate(table.columns) if index != last]
    rows = [[cell for index, cell in enumerate(row) if index != last] for row in table.rows]
    note = "some columns do not fit this terminal and are left out"
    return Table(table.title, columns, rows, [*(text for text in table.notes if text != note), note])


def _laid_out(table: Table) -> str:
    rows = [[visible(cell) for cell in row] for row in table.rows]
    body = tabulate(
        rows,
        headers=[column.header for column in table.columns],
        colalign=[column.align for column in table.columns] if rows else None,
        tablefmt="simple",
        disable_numparse=True,
    )
    return "\n".join([table.title.upper(), *(line.rstrip() for line in body.splitlines()), *table.notes])


def as_markdown(table: Table) -> str:
    """Return the table for a page or a pull request; nothing in a cell can end it or be read as markup."""
    rows = [[escaped(cell) for cell in row] for row in table.rows]
    body = tabulate(
        rows,
        headers=[column.header for column in table.columns],
        colalign=[column.align for column in table.columns] if rows else None,
        tablefmt="pipe",
        disable_numparse=True,
    )
    notes = [f"\n{escaped(note)}" for note in table.notes]
    return "\n".join([f"### {escaped(table.title)}\n", body, *notes])


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return *text* on one line with control characters, direction marks and lone surrogates spelled out.

    What a loop or a model wrote must not be able to move the reader's cursor or hide text (CWE-150).
    """
    text = text.replace("\n", "\\n").replace("\t", "\\t")
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def escaped(text: str) -> str:
    """Return *text* for a Markdown cell."""
    return (
        re.sub(r"([\\`*_\[\]|<>&])", r"\\\1", visible(text))
        .replace("\\<", "&lt;")
        .replace("\\>", "&gt;")
        .replace("\\&", "&amp;")
    )
