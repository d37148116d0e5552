"""A gate as GitHub's annotations: lines that a workflow's log turns into marks on the changed files.

GitHub shows 10 annotations of a kind and step, so that nine are written, and one that counts the rest.
The escapes are those of its toolkit (packages/core/src/command.ts).
"""

from __future__ import annotations

from collections.abc import Sequence

from looprig.exits import Exit
from looprig.gate.checks import Check, Gated, Status
from looprig.report import gate_words as words
from looprig.report.table import visible

SHOWN_MAX = 9


def as_annotations(gated: Gated) -> str:
    """Return the workflow commands: errors for what fails the gate, warnings for what is undecided."""
    failed = gated.of(Status.BROKEN, Status.EXCEEDED)
    undecided = gated.of(Status.UNDECIDED)
    lines = _some("error", failed, gated)
    lines += _some("error" if gated.strict and not failed else "warning", undecided, gated)
    if gated.exit is Exit.NOTHING_RAN:
        lines.append(_command("error", words.summary(gated), title="looprig gate"))
    lines.append(_command("notice", words.title(gated), title="looprig gate"))
    return "\n".join(lines)


def of_problem(text: str, file: str | None, line: int | None) -> str:
    """Return the annotation of a gate that could not start."""
    return _command("error", text, title="looprig gate could not start", file=file, line=line)


def _some(level: str, checks: Sequence[Check], gated: Gated) -> list[str]:
    """Return the first of the checks, and how many there are besides."""
    shown = checks if len(checks) <= SHOWN_MAX + 1 else checks[:SHOWN_MAX]
    file, line = gated.where or (None, None)
    lines = [
        _command(level, *_message(check), title=f"looprig: {check.name} in {check.scenario}", file=file, line=line)
        for check in shown
    ]
    if more := len(checks) - len(shown):
        lines.append(_command(level, f"and {more} more; the step summary has them all", title="looprig gate"))
    return lines


def _message(check: Check) -> list[str]:
    times = f" ({check.times:,} times)" if check.times > 1 else ""
    return [f"{words.why(check)}{times}", *([f"replay with: {check.replay}"] if check.replay else [])]


def _command(level: str, *lines: str, title: str, file: str | None = None, line: int | None = None) -> str:
    given = {"file": file, "line": line, "title": title}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in given.items() if value is not None)
    return f"::{level} {properties}::{'%0A'.join(map(_data, lines))}"


def _data(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
