"""What there is: scenarios with their parameters, invariants with their explanations."""

from __future__ import annotations

import difflib
import shutil
import textwrap
from collections.abc import Mapping
from typing import Any

from looprig.content import ScenarioFile
from looprig.invariants import RULES, Rule
from looprig.report.table import Column, Table, as_text, visible
from looprig.trimmers.judge import RULES as TRIM_RULES


def scenarios_text(found: Mapping[str, ScenarioFile]) -> str:
    """Return the scenarios with their descriptions and parameters; a broken file is listed with its error."""
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    blocks = []
    for name, file in found.items():
        lines = [visible(name)]
        told = f"cannot be loaded: {file.error}" if file.error else file.description
        lines += textwrap.wrap(visible(told), width, initial_indent="    ", subsequent_indent="    ")
        if not file.error and file.parameters:
            settings = "  ".join(f"{key}={parameter.default}" for key, parameter in file.parameters.items())
            lines += textwrap.wrap(f"--set {settings}", width, initial_indent="    ", subsequent_indent="          ")
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def scenarios_data(found: Mapping[str, ScenarioFile]) -> list[dict[str, Any]]:
    """Return the same as data."""
    return [
        {
            "name": name,
            "description": file.description if not file.error else "",
            "parameters": {key: parameter.default for key, parameter in file.parameters.items()}
            if not file.error
            else {},
            "error": file.error or None,
        }
        for name, file in found.items()
    ]


def invariants_text() -> str:
    """Return all invariants, a line each."""
    rows = [[code, rule.name, rule.of, rule.sentence] for code, rule in RULES.items()]
    columns = [Column("code"), Column("invariant"), Column("judged at each"), Column("what must hold")]
    return as_text(Table("invariants", columns, rows, ["looprig explain CODE tells more of one."]))


def explained(code: str) -> str:
    """Return the explanation of the invariant with this code or name, or of the rule that only trimmers are judged by.

    Raises:
        KeyError: with a hint, where there is none.
    """
    rule = RULES.get(code.upper()) or next((rule for rule in RULES.values() if rule.name == code), None)
    if rule is None and code.upper() in TRIM_RULES:
        return _trim_explanation(code.upper())
    if rule is None:
        known = [*RULES, *(rule.name for rule in RULES.values())]
        close = difflib.get_close_matches(code.upper(), known, 1, 0.5) or difflib.get_close_matches(code, known, 1, 0.5)
        hint = f"did you mean {close[0]}?" if close else "looprig explain lists them all"
        raise KeyError(f"there is no invariant {code!r}; {hint}")
    return _explanation(rule)


def _trim_explanation(code: str) -> str:
    rule = TRIM_RULES[code]
    lines = [f"{rule.code}  {rule.name}", "", rule.sentence, "", "judged at each: call of a trimmer (looprig trim)"]
    return "\n".join([*lines, f"source:         notes {rule.note}"])


def _explanation(rule: Rule) -> str:
    twin = RULES[rule.twin]
    return "\n".join(
        [
            f"{rule.code}  {rule.name}",
            "",
            rule.text,
            "",
            f"judged at each: {rule.of}",
            f"its twin:       {twin.code} {twin.name}",
            f"source:         {rule.source}",
        ]
    )
