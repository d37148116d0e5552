"""Pages in one file: no script, no network, light or dark as the reader's system is; what varies is escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

from looprig.report.table import Table, visible

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #667; --line: #d8dbe0; --page: #fff;
  --good: #12703a; --bad: #b3261e; --one: #2563c9; --two: #c2570c; --three: #12703a; --four: #8b2fb0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #99a; --line: #3a3f47; --page: #16181c;
  --good: #5cc98a; --bad: #ff8a80; --one: #7fb0ff; --two: #ffb074; --three: #5cc98a; --four: #d59bf0; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .soft { color: var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; }
th, td { padding: .2rem .9rem .2rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); } .right { text-align: right; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 12px; }
svg .grid { stroke: var(--line); } svg .line { fill: none; stroke-width: 2; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def escaped(text: str) -> str:
    """Return *text* for a page: nothing in it is read as markup, and control characters are spelled out."""
    return html.escape(visible(text))


def escaped_lines(text: str) -> str:
    """Return *text* for a page, with its lines."""
    return "\n".join(escaped(line) for line in text.split("\n"))


def table(table: Table) -> str:
    """Return a table under its title, with its notes below it."""
    sides = [' class="right"' if column.align == "right" else "" for column in table.columns]
    head = "".join(
        f'<th scope="col"{side}>{escaped(column.header)}</th>'
        for side, column in zip(sides, table.columns, strict=True)
    )
    rows = "\n".join(
        "<tr>" + "".join(f"<td{side}>{escaped(cell)}</td>" for side, cell in zip(sides, row, strict=True)) + "</tr>"
        for row in table.rows
    )
    notes = "".join(f'<p class="soft">{escaped(note)}</p>\n' for note in table.notes)
    return (
        f"<section><h2>{escaped(table.title)}</h2>\n"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>\n'
        f"{notes}</section>"
    )


def page(title: str, parts: Sequence[str]) -> str:
    """Return the whole file; *parts* are markup already."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # Nothing may be fetched or run, whatever a service under test wrote into a message.
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{escaped(title)}</title>",
            f"<style>{_STYLE}</style></head><body>",
            *parts,
            "</body></html>",
            "",
        ]
    )
