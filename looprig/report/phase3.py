"""The seed report's page with measured figures: its benchmark, its tables, its criteria, and each of its claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from looprig.compare import Side
from looprig.phase3.bench import BEFORE, OURS, SEED
from looprig.phase3.claim import Detail, Figure, Judged, Measured, Verdict, Who
from looprig.phase3.objectives import PHASES, PRIMARY, SECONDARY, TABLES, Objective, Standing
from looprig.phase3.study import Study
from looprig.report.comparison import MEMORY, MONITORING, TOOLS, Reading
from looprig.report.figures import change, of_unit
from looprig.report.table import Column, Table, as_markdown, as_text, escaped

COMMAND = "looprig report --phase3"

READINGS: Mapping[str, Sequence[Reading]] = {
    "Memory Management": MEMORY,
    "Performance Monitoring": MONITORING,
    "Tool Execution": TOOLS,
}

NOISY = "~"


def page(study: Study, machine: Mapping[str, str | int]) -> str:
    """Return the whole page as Markdown; *machine* says where the noisy figures are from."""
    return "\n\n".join([*_head(study, machine), *_tables(study), *_claims(study)]) + "\n"


def _head(study: Study, machine: Mapping[str, str | int]) -> Iterator[str]:
    yield "# The seed report, measured"
    yield (
        f"`{COMMAND}` writes this page. It asks each claim of the report that the project began with, and prints what "
        "was measured, with a verdict that a rule draws from the figures."
    )
    yield (
        f"Figures with {NOISY} are CPU times, bytes, or what rests on them, and differ from run to run; all others are "
        "exact, and the same in every run. Time is virtual, tokens are estimated."
    )
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    yield f"Machine facts, which {NOISY} figures depend on: {facts}."
    yield "\n".join(
        [
            f"- before: `{BEFORE}`",
            f"- the seed's after: `{SEED}`, and for B, C2 and C4 the code that its report prints; its trim rule alone",
            "  is `policy=incremental`. What the report does not print cannot be measured.",
            f"- ours: `{OURS}` with its defaults. Beside each verdict it says whether the same rule holds for it,",
            "  which is not always its aim.",
        ]
    )
    yield "## The benchmark"
    sides: Sequence[tuple[Who, str]] = (
        ("seed", "As the seed ran it, looking at the trigger every 100th append"),
        ("ours", "Ours"),
    )
    for who, title in sides:
        yield f"{title}:"
        yield f"```text\n{benchmark(study.judged, who)}\n```"


def benchmark(judged: Mapping[str, Judged], who: Who) -> str:
    """Return the seed report's benchmark block in its own form, with units that show something."""

    def shown(claim: str, figure: str) -> str:
        return cell(judged[claim].measured[who].figures[figure])

    memory = f"{shown('D1', 'total')} ({shown('D1', 'each')} per message)"
    monitoring = f"{shown('B9', 'all')} ({shown('B9', 'each')} per operation)"
    return "\n".join(
        [
            "🚀 PHASE 3 PERFORMANCE BENCHMARK",
            "=" * 50,
            "📊 Testing memory management with 1000 messages...",
            f"⏱️ Memory management time: {memory}",
            f"💾 Final conversation length: {shown('D2', 'final')} messages",
            f"📈 Memory utilization: {shown('D2', 'utilisation')}",
            "",
            "📊 Testing performance monitoring...",
            f"⏱️ Performance monitoring time: {monitoring}",
            "",
            "🎉 Phase 3 Performance Benchmark Complete!",
            f"✅ Memory management: {memory} for 1000 messages",
            f"✅ Performance monitoring: {monitoring} for 100 operations",
        ]
    )


def _tables(study: Study) -> Iterator[str]:
    yield "## Before vs After: Performance Comparison"
    yield "Over the standard scenarios, seed 1. The last column is what the report says of the row, in its words."
    for title, readings in READINGS.items():
        yield as_markdown(_before_after(title, readings, study.sides))
    yield "## Phase 3 Success Criteria"
    yield "The report says of each objective: COMPLETE."
    yield as_markdown(_objectives("Primary Objectives", PRIMARY, study.standings))
    yield as_markdown(_objectives("Secondary Objectives", SECONDARY, study.standings))
    yield "## Current Progress Summary"
    yield as_markdown(_phases(study.standings))


def _before_after(title: str, readings: Sequence[Reading], sides: Sequence[Side]) -> Table:
    said = {row.aspect: row for row in TABLES[title]}
    rows = []
    for aspect, what, read, unit in readings:
        before, seed, ours = (read(side) for side in sides)
        noisy = "(noisy)" in what
        mark = NOISY if noisy else ""
        cells = ["-" if value is None else mark + of_unit(value, unit) for value in (before, seed, ours)]
        changes = [mark + change(before, value) for value in (seed, ours)]
        rows.append(
            [aspect, what.replace(" (noisy)", ""), *cells, *changes, said[aspect].improvement if aspect else ""]
        )
    columns = [
        Column("Aspect"),
        Column("Measured"),
        *(Column(name, "right") for name in ("Before Phase 3", "After Phase 3", "Ours")),
        *(Column(name, "right") for name in ("Improvement", "Improvement, ours")),
        Column("The report says"),
    ]
    return Table(title, columns, rows)


def _objectives(title: str, objectives: Sequence[Objective], standings: Mapping[str, Standing]) -> Table:
    rows = []
    for each in objectives:
        found = standings[each.name]
        rows.append([each.name, each.evidence, ", ".join(each.claims) or each.reason, *_counts(found), _stands(found)])
    columns = ["Objective", "Evidence in the report", "Asked by", "Confirmed", "Hold for ours", "Verdict"]
    return Table(title, [Column(name) for name in columns], rows)


def _phases(standings: Mapping[str, Standing]) -> Table:
    rows = []
    for each in PHASES:
        found = standings[each.name]
        asked = f"{each.claims[0]} to {each.claims[-1]}" if each.claims else each.reason
        rows.append([each.name, each.status, each.completion, asked, *_counts(found), _stands(found)])
    columns = ["Phase", "Status", "Completion", "Asked by", "Confirmed", "Hold for ours", "Verdict"]
    return Table("phases", [Column(name) for name in columns], rows)


def _counts(found: Standing) -> tuple[str, str]:
    mark = NOISY if found.noisy else ""
    confirmed = f"{mark}{found.confirmed} of {found.measurable}" if found.measurable else "-"
    return confirmed, f"{mark}{found.ours} of {found.ours_of}" if found.ours_of else "-"


def _stands(found: Standing) -> str:
    return NOISY + found.verdict if found.noisy_verdict else found.verdict


def _claims(study: Study) -> Iterator[str]:
    verdicts = Counter(each.verdict for each in study.judged.values())
    counted = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in Verdict)
    noisy = any(each.is_noisy() for each in study.judged.values())
    yield "## Claims"
    yield f"{NOISY if noisy else ''}{len(study.judged)} claims and promises: {counted}."
    rows = [[name, each.claim.words, verdict_of(each), ours_of(each)] for name, each in study.judged.items()]
    yield as_markdown(Table("verdicts", [Column(name) for name in ("claim", "words", "verdict", "ours")], rows))
    for each in study.judged.values():
        yield "\n\n".join(_claim(each))


def _claim(judged: Judged) -> Iterator[str]:
    claim = judged.claim
    yield f"### {claim.id}: {verdict_of(judged)}"
    yield f"> {escaped(claim.words)} ({escaped(claim.where)})"
    if claim.reason:
        yield f"Not measurable: {escaped(claim.reason)}."
    if judged.measured:
        yield "\n".join(as_markdown(figures_table(judged)).splitlines()[2:])
        yield f"Holds where {escaped(claim.rule)}. Ours: {ours_of(judged)}."
    yield "\n".join(f"- `{command}`" for command in claim.commands)


def verdict_of(judged: Judged) -> str:
    """Return the verdict, marked where it rests on noisy figures."""
    return NOISY + judged.verdict if judged.is_noisy() else judged.verdict


def ours_of(judged: Judged) -> str:
    """Return whether the claim holds for ours, likewise; a dash where the rule is not for ours."""
    if judged.ours_holds is None:
        return "-"
    return (NOISY if judged.is_noisy("ours") else "") + ("yes" if judged.ours_holds else "no")


def figures_table(judged: Judged) -> Table:
    """Return what was measured for a claim: a row for each figure, a column for each side."""
    empty = Measured({})
    seed, ours = (judged.measured.get(who, empty).figures for who in ("seed", "ours"))
    names = list(dict.fromkeys([*seed, *ours]))
    rows = [
        [
            (seed.get(name) or ours[name]).what,
            *(cell(side[name]) if name in side else "-" for side in (seed, ours)),
        ]
        for name in names
    ]
    columns = [Column("measured"), Column("the seed's after", "right"), Column("ours", "right")]
    return Table("measured", columns, rows)


def cell(value: object) -> str:
    """Return a figure, a count or a text as it stands in a table."""
    if not isinstance(value, Figure):
        return of_unit(value, "count") if isinstance(value, int | float) else str(value)
    text = value.value if isinstance(value.value, str) else of_unit(value.value, value.unit)
    return NOISY + text if value.noisy else text


def claim_text(judged: Judged, width: int | None = None) -> str:
    """Return one claim in detail, for a terminal: words, figures, the tables behind them, rule and verdict."""
    claim = judged.claim
    parts = [f'{claim.id}: "{claim.words}"\n{claim.where}']
    if judged.measured:
        parts.append(as_text(figures_table(judged), width))
    names: Mapping[Who, str] = {"seed": "the seed's after", "ours": "ours"}
    for who, measured in judged.measured.items():
        parts += [as_text(_detail(detail, names[who]), width) for detail in measured.details]
    if claim.rule:
        parts.append(f"holds where {claim.rule}\nours: {ours_of(judged)}")
    reason = f": {claim.reason}" if claim.reason else ""
    return "\n\n".join([*parts, f"VERDICT {verdict_of(judged)}{reason}"])


def _detail(detail: Detail, side: str) -> Table:
    columns = [Column(name) for name in detail.headers]
    return Table(f"{detail.title} ({side})", columns, [[cell(value) for value in row] for row in detail.rows])
