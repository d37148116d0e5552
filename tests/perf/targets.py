"""What a report of measured targets is made of; each part measures, and `section` writes it down."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tabulate import tabulate

from looprig.suite import machine


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


def report(title: str, made_by: str, about: Sequence[str], parts: Sequence[Callable[[], Section]]) -> None:
    """Print a report, part by part as they are done; the process ends with 1 where a target is missed."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    print(f"# {title}\n\n{made_by}\nCommit {commit.stdout.strip() or 'unknown'}; {facts}.\n")
    print("Times are of one shared machine: ratios in one run, interleaved, in CPU time where nothing else is said.")
    print(*about, sep="\n")
    missed = 0
    for measure in parts:
        part = measure()
        missed += sum(not target.holds for target in part.targets)
        print(f"\n{section(part)}", flush=True)
        print(f"{part.title}: done", file=sys.stderr)
    print(f"\n{missed} targets missed." if missed else "\nEvery target holds.")
    sys.exit(missed > 0)
