"""Why a cell differs from the study's, and why some rule has no short case: what was found by looking into each."""

from __future__ import annotations

from collections.abc import Mapping

from looprig.conformance.data import TrimmerResult
from looprig.conformance.study import Compared

UNEXPLAINED = "not explained yet"

ANY = "*"

WHY: Mapping[tuple[str, str], str] = {}
"""By trimmer (`ANY` for all) and number of the rule."""

LONG: Mapping[tuple[str, str], str] = {}
"""As above, where a rule is broken by long histories alone."""


def why(cell: Compared) -> str:
    """Say why a cell differs from the study's."""
    return WHY.get((cell.trimmer.name, cell.note)) or WHY.get((ANY, cell.note), UNEXPLAINED)


def why_long(trimmer: TrimmerResult, note: str) -> str:
    """Say why a rule has no case that is short."""
    return LONG.get((trimmer.name, note)) or LONG.get((ANY, note), UNEXPLAINED)
