"""What every report of a gate says in the same words: the verdict, the rows that matter, what to do now."""

from __future__ import annotations

import math
from collections.abc import Sequence

from looprig.exits import Exit
from looprig.gate.checks import Check, Gated, Status
from looprig.report.figures import change, count, of_unit
from looprig.report.table import Column, Table
from looprig.verdicts import Comparison, Layer, Verdict

MARKS = {
    Status.PASSED: "✓",
    Status.SKIPPED: "-",
    Status.WAIVED: "w",
    Status.UNDECIDED: "?",
    Status.EXCEEDED: "✗",
    Status.BROKEN: "✗",
}

WORDS = {
    Exit.PASSED: "PASSED",
    Exit.VIOLATED: "FAILED",
    Exit.REGRESSED: "FAILED",
    Exit.UNDECIDED: "UNDECIDED",
    Exit.NOTHING_RAN: "NOTHING RAN",
}


def title(gated: Gated) -> str:
    """Return the verdict: one word, and what it comes to."""
    return f"{WORDS[gated.exit]}  {summary(gated)}"


def summary(gated: Gated) -> str:
    """Return what the verdict comes to, worst first."""
    if not gated.ran:
        return "nothing was judged: no scenario was played, or none had anything to judge"
    broken, exceeded, undecided = (gated.of(status) for status in (Status.BROKEN, Status.EXCEEDED, Status.UNDECIDED))
    parts = []
    if broken:
        codes = {check.name for check in broken}
        where = {check.scenario for check in broken}
        parts.append(f"{count(len(codes), 'invariant')} broken in {count(len(where), 'run')}")
    if exceeded:
        parts.append(f"{count(len(exceeded), 'limit')} exceeded")
    if undecided:
        parts.append(f"{len(undecided)} undecided")
    if waived := gated.of(Status.WAIVED):
        parts.append(f"{len(waived)} waived")
    held = f"{count(len(gated.of(Status.PASSED)), 'check')} held in {count(len(gated.played), 'run')}"
    return "; ".join([", ".join(parts), held]) if parts else held


def bad(gated: Gated) -> list[Check]:
    """Return what somebody has to look at, worst first."""
    return [check for status in (Status.BROKEN, Status.EXCEEDED, Status.UNDECIDED) for check in gated.of(status)]


def changed(gated: Gated) -> list[Check]:
    """Return the checks of metrics that are not as they were, and those that are exceeded, undecided or waived."""
    order = list(reversed(Status))
    rows = [
        check
        for check in gated.checks
        if check.comparison is not None
        and (check.status not in (Status.PASSED, Status.SKIPPED) or moved(check.comparison))
    ]
    return sorted(rows, key=lambda check: order.index(check.status))


def moved(comparison: Comparison) -> bool:
    """Say whether a change was shown, whichever way."""
    return comparison.verdict in (Verdict.IMPROVED, Verdict.CHANGED, Verdict.REGRESSED)


def changes_table(checks: Sequence[Check]) -> Table:
    """One row a metric that changed: both values, the change, the limit, and what the gate says."""
    columns = [
        Column("scenario"),
        Column("metric"),
        Column("before", "right"),
        Column("after", "right"),
        Column("change", "right"),
        Column("limit", drop=1),
        Column("gate"),
    ]
    return Table("changes", columns, [_row(check) for check in checks])


def _row(check: Check) -> list[str]:
    comparison = check.comparison
    assert comparison is not None, "a row shows a metric"
    return [
        check.scenario,
        comparison.metric,
        value(comparison.before, comparison),
        value(comparison.after, comparison),
        changed_by(comparison),
        check.limit,
        f"{MARKS[check.status]} {gate_word(check)}",
    ]


def gate_word(check: Check) -> str:
    """Return what the gate says of a metric; of one that holds its limit, what the comparison says."""
    if check.status in (Status.PASSED, Status.SKIPPED) and check.comparison is not None:
        return str(check.comparison.verdict)
    return str(check.status)


def value(number: float | None, comparison: Comparison) -> str:
    """Return a value with its unit, or a dash."""
    if number is None:
        return "-"
    if not math.isfinite(number):
        return str(number)
    if comparison.ratio is not None and comparison.unit == "calls":
        return f"{number:,.2f}"  # counted by message
    return of_unit(number, comparison.unit)


def changed_by(comparison: Comparison) -> str:
    """Return the change, with its interval where it is an estimate."""
    if comparison.ratio is None or comparison.layer is Layer.GROWTH:
        return change(comparison.before, comparison.after)
    text = f"{(comparison.ratio - 1) * 100:+.1f} %"
    if comparison.interval is None:
        return text
    low, high = ((bound - 1) * 100 for bound in comparison.interval)
    return f"{text} ({low:+.1f} to {high:+.1f})"


def quiet(gated: Gated) -> bool:
    """Say whether nobody has to read the report: the gate passed, nothing is undecided, nothing changed."""
    return gated.exit is Exit.PASSED and not gated.of(Status.UNDECIDED) and not changed(gated)


def unchanged(gated: Gated) -> int:
    """Count the metrics that are as they were."""
    return sum(
        1
        for check in gated.checks
        if check.status is Status.PASSED
        and check.comparison is not None
        and check.comparison.verdict is Verdict.UNCHANGED
    )


def advice(gated: Gated) -> tuple[str, str]:
    """Return what to do next in words, and the command that helps; the command is empty where none does."""
    match gated.exit:
        case Exit.VIOLATED:
            return "see the first of it again with", gated.of(Status.BROKEN)[0].replay
        case Exit.REGRESSED:
            meant = "if the change is meant, write another limit or a waiver into [tool.looprig]"
            return f"{meant}; see it again with", gated.command
        case Exit.UNDECIDED:
            return f"{_undecided(gated)}; without --strict this passes", ""
        case Exit.NOTHING_RAN:
            return "choose scenarios in [tool.looprig]; all that there are shows", "looprig list"
    return f"nothing has to be done{f'; {_undecided(gated)}' if gated.of(Status.UNDECIDED) else ''}", ""


def what_now(gated: Gated) -> str:
    """Return the one line that says what to do next."""
    text, command = advice(gated)
    return f"{text}: {command}" if command else text


def _undecided(gated: Gated) -> str:
    timed = any(
        check.comparison is not None and check.comparison.layer is not Layer.COUNTERS
        for check in gated.of(Status.UNDECIDED)
    )
    more = "give it a larger budget, or a quieter machine" if timed else "see why in its row"
    return f"{len(gated.of(Status.UNDECIDED))} could not be decided: {more}"


def left_out_lines(gated: Gated) -> list[str]:
    """Return one line for each reason why something was not judged, and each note."""
    reasons: dict[str, list[str]] = {}
    for what, why in gated.left_out.items():
        reasons.setdefault(why, []).append(what)
    return [*(f"not judged: {', '.join(what)}: {why}" for why, what in reasons.items()), *gated.notes]


def header(gated: Gated) -> str:
    """Return one line that says what was gated, where."""
    from looprig.suite import machine
    from looprig.version import __version__

    facts = machine()
    against = f"against {gated.baseline}" if gated.baseline else "without a baseline"
    return (
        f"looprig {__version__} gate · {gated.loop} · {against} · "
        f"{facts['implementation']} {facts['python']}, {facts['cores']} cores"
    )


def reasons(checks: Sequence[Check]) -> list[str]:
    """Return a line for each check that needs more words than its row in the table has: where, what, why."""
    return [f"{MARKS[check.status]} {check.scenario}: {check.name}: {why(check)}" for check in checks if _wordy(check)]


def _wordy(check: Check) -> bool:
    return check.status is not Status.EXCEEDED or check.comparison is None or bool(check.comparison.note)


def why(check: Check) -> str:
    """Return the reason of a check, with what the layer that measured it has to say."""
    note = check.comparison.note if check.comparison is not None else ""
    return "; ".join(text for text in (check.why, note) if text)
