"""What a trimmer's cuts break, for people and as data: a table of rules, the smallest cases, how to see them again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looprig.report.figures import count
from looprig.report.table import Column, Table, as_markdown, as_text, escaped, visible
from looprig.trimmers.agent import Requests
from looprig.trimmers.cost import Cost
from looprig.trimmers.driver import Example, Findings
from looprig.trimmers.judge import RULES, Rule
from looprig.version import __version__

LEGEND = (
    "S system  U user  A assistant  Cn assistant with n calls  T tool result  ? behind one that was not in the input"
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of one trimmer: its findings, and whole runs and costs where these were asked for.

    ``command`` is how the trimmer was named on the command line, ready to be pasted.
    """

    findings: Findings
    command: Sequence[str]
    runs: Sequence[Requests] = ()
    cost: Cost | None = None
    chosen: bool = False
    """Whether one history was given, instead of all of them."""


def rules_table(judged: Judged) -> Table:
    """One row a rule: how many runs it applied to, how many broke it, and the smallest that did."""
    findings = judged.findings
    rows = [
        [_mark(findings, code), code, rule.note, rule.name, *_cells(findings, code)] for code, rule in RULES.items()
    ]
    columns = [
        Column(""),
        Column("code"),
        Column("id", drop=3),
        Column("rule", drop=2),
        Column("runs", "right", 1),
        Column("broken", "right"),
        Column("%", "right"),
        Column("smallest case"),
    ]
    return Table("rules", columns, rows, _notes(findings))


def _mark(findings: Findings, code: str) -> str:
    if findings.broken[code]:
        return "w" if code in findings.waived() else "✗"
    return "✓" if findings.applied[code] else "-"


def _cells(findings: Findings, code: str) -> list[str]:
    applied, broken = findings.applied[code], findings.broken[code]
    example = findings.examples.get(code)
    share = f"{100 * broken / applied:.0f}" if broken else ""
    return [f"{applied:,}", f"{broken:,}", "<1" if share == "0" else share, _case(example) if example else ""]


def _case(example: Example) -> str:
    history = example.history if len(example.history) <= 40 else f"{example.history[:37]}..."
    return f"{history} -> {example.result} @ {example.limit}"


def _notes(findings: Findings) -> list[str]:
    notes = []
    silent = [code for code in RULES if not findings.applied[code]]
    if silent:
        notes.append(f"- judged nothing here, and so showed nothing: {', '.join(silent)}")
    waived = findings.waived()
    notes += [f"w {code} is waived: {reason}" for code, reason in waived.items()]
    notes += [
        f"{code} is waived, but nothing broke it: the waiver can go" for code in waived if not findings.broken[code]
    ]
    if findings.unheld:
        notes.append(f"{count(findings.unheld, 'case')} not played: these messages cannot hold them")
    if findings.altered:
        notes.append(
            f"{count(findings.altered, 'case')} not played: already the codec alters them ({findings.altered_because})"
        )
    if findings.cut_short:
        notes.append(f"not all cases were played: {findings.cut_short}")
    return notes


def runs_table(runs: Sequence[Requests]) -> Table:
    """One row a whole agent run: what share of its requests each provider would refuse, and what was lost."""
    rows = [
        [
            seen.run,
            seen.when.replace("_", " "),
            f"{seen.limit}",
            f"{seen.count}",
            *(_share(number, seen.count) for number in seen.refused.values()),
            *(_share(number, seen.count) for number in (seen.system_lost, seen.user_lost, seen.emptied)),
            f"{seen.peak}",
            ", ".join(f"{code} {number}x" for code, number in seen.broken.items()) or "-",
        ]
        for seen in runs
    ]
    refused = [Column(f"{provider} refuses", "right") for provider in (runs[0].refused if runs else ())]
    columns = [
        Column("run"),
        Column("trimmed"),
        Column("limit", "right"),
        Column("requests", "right"),
        *refused,
        Column("system lost", "right"),
        Column("user lost", "right"),
        Column("emptied", "right"),
        Column("peak", "right"),
        Column("invariants broken", drop=1),
    ]
    trouble = [f"{seen.run}, {seen.when}: {seen.trouble}" for seen in runs if seen.trouble]
    return Table("whole agent runs", columns, rows, ["shares are percent of the run's requests", *trouble])


def _share(number: int, of: int) -> str:
    return f"{100 * number / of:.0f}" if of else "-"


def cost_table(costs: Sequence[Cost]) -> Table:
    """One row a trimmer: CPU time of one call by the length of the history, and how it grows."""
    sizes = sorted({size for cost in costs for size in (*cost.us, *cost.skipped)})
    rows = [
        [
            cost.name,
            *(f"{cost.us[size]:,.1f}" if size in cost.us else "-" for size in sizes),
            *([f"{ratio:,.0f}"] if (ratio := cost.ratio(10_000)) is not None else ["-"]),
            "-" if cost.exponent is None else f"{cost.exponent:.2f}",
            f"{max(cost.counted.values(), default=0):,}",
        ]
        for cost in costs
    ]
    columns = [
        Column("trimmer"),
        *(Column(f"{size:,} us", "right") for size in sizes),
        Column("x h[-n:] at 10,000", "right"),
        Column("growth", "right"),
        Column("counter asked", "right"),
    ]
    skipped = [f"{cost.name} at {size:,}: {why}" for cost in costs for size, why in cost.skipped.items()]
    note = "CPU time of one call; growth is the exponent over the length: 0 none, 1 linear, 2 quadratic"
    return Table("cost", columns, rows, [note, *skipped])


def broken_lines(judged: Judged) -> list[str]:
    """Say of each broken rule what it wants, the smallest case, and the command that shows it again."""
    findings, lines = judged.findings, list[str]()
    for code, rule in RULES.items():
        example = findings.examples.get(code)
        if example is not None and code not in findings.waived():
            lines += ["", *_broken(rule, example, findings, judged.command)]
    return lines


def _broken(rule: Rule, example: Example, findings: Findings, command: Sequence[str]) -> list[str]:
    broken, applied = findings.broken[rule.code], findings.applied[rule.code]
    return [
        f"✗ {rule.code} ({rule.note}) {rule.name}: broken in {broken:,} of {count(applied, 'run')}",
        f"  {rule.sentence}",
        f"    limit {example.limit}: {example.history} -> {example.result}",
        f"    {visible(example.because)}",
        f"    replay with: {replay(command, example)}",
    ]


def replay(command: Sequence[str], example: Example) -> str:
    """Return a command that plays *example* by itself."""
    return shlex.join([*command, "--limit", str(example.limit), "--history", example.history])


def header(judged: Judged) -> str:
    """Return one line that says what was judged, and on what."""
    findings = judged.findings
    facts = [f"looprig {__version__}", findings.subject.name, *_versions(findings), count(findings.runs, "run")]
    if findings.worst_size and not judged.chosen:
        facts.append(f"largest result {findings.worst_size:.2f} x its limit, where that could be kept")
    if findings.chain_kept is not None:
        left, limit = findings.chain_kept
        facts.append(f"of a turn of 203 calls {count(left, 'message')} left at limit {limit}")
    return " · ".join(facts)


def _versions(findings: Findings) -> list[str]:
    from importlib.metadata import PackageNotFoundError, version

    told = []
    for package in findings.subject.packages:
        try:
            told.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            told.append(f"{package} (not installed)")
    return told


def verdict_line(judged: Judged) -> str:
    """Return the last line: passed or failed, or that not enough was played to say so."""
    findings = judged.findings
    broken = findings.breaks()
    if broken:
        return f"FAILED  {count(len(broken), 'rule')} broken in {count(findings.runs, 'run')}"
    if not findings.runs:
        return "NOTHING  no history could be played"
    if findings.cut_short:
        return f"UNDECIDED  nothing broke in {count(findings.runs, 'run')}, but {findings.cut_short}"
    held = sum(1 for code in RULES if findings.applied[code] and not findings.broken[code])
    return f"PASSED  {count(held, 'rule')} held in {count(findings.runs, 'run')}"


def _tables(judged: Judged) -> list[Table]:
    tables = [rules_table(judged)]
    if judged.runs:
        tables.append(runs_table(judged.runs))
    if judged.cost is not None:
        tables.append(cost_table([judged.cost]))
    return tables


def page(judged: Judged, width: int | None = None) -> str:
    """Return the whole page without its last line."""
    lines = [header(judged), ""]
    for table in _tables(judged):
        lines += [as_text(table, width), ""]
    broken = broken_lines(judged)
    if broken:
        lines += ["BROKEN", f"({LEGEND})", *broken, ""]
    return "\n".join(lines)


def markdown(judged: Judged) -> str:
    """Return verdict first, then the tables, then what was broken."""
    lines = [f"## {escaped(verdict_line(judged))}", "", escaped(header(judged)), ""]
    for table in _tables(judged):
        lines += [as_markdown(table), ""]
    broken = broken_lines(judged)
    if broken:
        lines += ["### broken", "", "```text", LEGEND, *broken, "```"]
    return "\n".join(lines)


def as_data(judged: Judged) -> dict[str, Any]:
    """Return the same as data."""
    findings = judged.findings
    return {
        "looprig": __version__,
        "trimmer": findings.subject.name,
        "runs": findings.runs,
        "verdict": verdict_line(judged).split(" ", 1)[0].lower(),
        "rules": [_rule_data(judged, code, rule) for code, rule in RULES.items()],
        "worst_size": round(findings.worst_size, 3),
        "chain_kept": findings.chain_kept,
        "not_held": findings.unheld,
        "altered_by_codec": findings.altered,
        "cut_short": findings.cut_short or None,
        "agent_runs": [_run_data(seen) for seen in judged.runs],
        "cost": None if judged.cost is None else _cost_data(judged.cost),
    }


def _rule_data(judged: Judged, code: str, rule: Rule) -> dict[str, Any]:
    findings = judged.findings
    example = findings.examples.get(code)
    return {
        "code": code,
        "id": rule.note,
        "name": rule.name,
        "must": rule.sentence,
        "runs": findings.applied[code],
        "broken": findings.broken[code],
        "waived": findings.waived().get(code),
        "example": None
        if example is None
        else {
            "history": example.history,
            "limit": example.limit,
            "result": example.result,
            "because": example.because,
            "replay": replay(judged.command, example),
        },
    }


def _run_data(seen: Requests) -> dict[str, Any]:
    return {
        "run": seen.run,
        "when": seen.when,
        "limit": seen.limit,
        "requests": seen.count,
        "refused": seen.refused,
        "system_lost": seen.system_lost,
        "user_lost": seen.user_lost,
        "emptied": seen.emptied,
        "peak": seen.peak,
        "trouble": seen.trouble or None,
        "broken": seen.broken,
    }


def _cost_data(cost: Cost) -> dict[str, Any]:
    def by_size(values: Mapping[int, Any]) -> dict[str, Any]:
        return {str(size): value for size, value in values.items()}

    return {
        "us": by_size(cost.us),
        "counter_asked": by_size(cost.counted),
        "skipped": by_size(cost.skipped),
        "exponent": cost.exponent,
        "times_h_n_at_10000": cost.ratio(10_000),
    }
