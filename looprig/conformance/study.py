"""Agreement with an earlier study of the same trimmers, whose table is in ``study.csv``.

The study had histories of its own, so that shares need not be equal; whether a rule is broken at all should be.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources

import msgspec

from looprig.conformance.changes import cell_text
from looprig.conformance.data import TrimmerResult
from looprig.trimmers.judge import RULES

POINTS = 10
"""Shares that are at most so many percent points apart are alike."""

NOTES: Mapping[str, str] = {rule.note: code for code, rule in RULES.items()}
"""The code of a rule by its number in the study."""


class Compared(msgspec.Struct, frozen=True):
    """A cell of both tables. ``verdict`` is ``same``, ``other share`` (both broken) or ``differs`` (one holds)."""

    trimmer: TrimmerResult
    code: str
    note: str
    theirs: str
    ours: str
    verdict: str
    version: str


@cache
def table() -> Sequence[Mapping[str, str]]:
    """Return the study's rows."""
    text = (resources.files("looprig.conformance") / "study.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def row_of(trimmer: TrimmerResult) -> Mapping[str, str] | None:
    """Return the study's row of *trimmer*: that of the version nearest to it, where there are several."""
    rows = [row for row in table() if (row["framework"], row["trimmer"]) == (trimmer.framework, trimmer.name)]
    versions = trimmer.packages.values()
    alike = [row for row in rows if any(_major(row["version"].split()[-1]) == _major(version) for version in versions)]
    return next(iter(alike or rows), None)


def _major(version: str) -> str:
    return version.split(".")[0]


def compared(trimmers: Sequence[TrimmerResult]) -> Iterator[Compared]:
    """Yield every cell that both tables have."""
    for trimmer in trimmers:
        row = row_of(trimmer)
        if row is None or trimmer.failed:
            continue
        for note, code in NOTES.items():
            theirs = row.get(note)
            if theirs is None:
                continue
            ours = cell_text(trimmer.cells.get(code))
            yield Compared(trimmer, code, note, theirs, ours, verdict(theirs, ours), row["version"])


def verdict(theirs: str, ours: str) -> str:
    """Return how two cells compare."""
    one, other = percent(theirs), percent(ours)
    if bool(one) != bool(other):
        return "differs"  # a rule that does not apply is not broken either
    return "same" if abs((one or 0) - (other or 0)) <= POINTS else "other share"


def percent(cell: str) -> float | None:
    """Return the percentage that a cell of the study stands for; None where the rule does not apply."""
    if cell in ("n/a", "in place", ""):
        return None
    if cell == "ok":
        return 0.0
    return 0.5 if cell == "<1" else float(cell)
