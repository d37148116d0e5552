"""What a report of measured targets is made of; each part measures, and `section` writes it down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tabulate import tabulate


class Target(NamedTuple):
    """One thing that has to hold: what, what was measured, the limit, and whether it holds; texts with units."""

    what: str
    measured: str
    limit: str
    holds: bool


class Section(NamedTuple):
    """A part of the report; ``tables`` are Markdown, ready to print."""

    title: str
    command: str
    targets: Sequence[Target]
    tables: Sequence[str] = ()


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; cells are texts that are printed as they are."""
    return tabulate([[str(cell) for cell in row] for row in rows], headers, tablefmt="github", disable_numparse=True)


def section(part: Section) -> str:
    """Return the part as Markdown: its command, its targets with yes or NO, its tables."""
    rows = [[each.what, each.measured, each.limit, "yes" if each.holds else "**NO**"] for each in part.targets]
    judged = table(["what", "measured", "limit", "holds"], rows)
    return "\n\n".join([f"## {part.title}", f"```console\n$ {part.command}\n```", judged, *part.tables])
