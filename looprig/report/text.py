"""The results of a suite for people: tables, what was broken and how to see it again, and a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from looprig.invariants import RULES, Violation
from looprig.report.figures import count, figure
from looprig.report.table import Column, Table, visible
from looprig.runner import Outcome
from looprig.suite import Step

Done = Sequence[tuple[Step, Outcome]]

COST_METRICS = (
    ("history_messages_peak", "peak"),
    ("history_messages_final", "final"),
    ("utilisation_final", "util."),
    ("trims", "trims"),
    ("tokens_sent", "tokens sent"),
    ("cached_prefix_share", "cached"),
    ("overhead_per_message_us", "overhead"),
    ("trim_pause_us_p99", "trim p99"),
    ("parallel_speedup", "speed-up"),
)


def scenarios_table(done: Done) -> Table:
    """One row a scenario: how much was played and judged, and what broke; seeds are added up."""
    rows = []
    for name, outcomes in _by_scenario(done).items():
        judged = sum(sum(outcome.judgements.values()) for outcome in outcomes)
        broken = Counter[str]()
        for outcome in outcomes:
            broken.update(outcome.broken)
        verdict = _verdict(outcomes, broken)
        sums = [
            f"{sum(o.metrics.get(key, 0) for o in outcomes):,.0f}" for key in ("turns", "messages_said", "requests")
        ]
        rows.append([name, *sums, f"{judged:,}", verdict])
    columns = [
        Column("scenario"),
        Column("turns", "right"),
        Column("messages", "right"),
        Column("requests", "right"),
        Column("judged", "right"),
        Column("verdict"),
    ]
    return Table("scenarios", columns, rows)


def _verdict(outcomes: Sequence[Outcome], broken: Counter[str]) -> str:
    if any(outcome.unusable for outcome in outcomes):
        return "? not usable"
    if broken:
        worst = ", ".join(f"{code} {number}x" for code, number in broken.most_common(4))
        return f"✗ {worst}{' ...' if len(broken) > 4 else ''}"
    return "✓"


def _by_scenario(done: Done) -> dict[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    for _, outcome in done:
        groups.setdefault(outcome.scenario, []).append(outcome)
    return groups


def invariants_table(done: Done) -> Table:
    """One row an invariant: how often it was judged and broken in all runs; one that judged nothing says so."""
    judged, broken, waived = Counter[str](), Counter[str](), Counter[str]()
    for _, outcome in done:
        judged.update(outcome.judgements)
        broken.update(outcome.broken)
        waived.update(outcome.waived)
    rows = [
        [_mark(code, judged, broken, waived), code, rule.name, f"{judged[code]:,}", f"{broken[code]:,}"]
        for code, rule in RULES.items()
    ]
    columns = [Column(""), Column("code"), Column("invariant"), Column("judged", "right"), Column("broken", "right")]
    return Table("invariants", columns, rows, _invariant_notes(judged, waived))


def _mark(code: str, judged: Counter[str], broken: Counter[str], waived: Counter[str]) -> str:
    if broken[code]:
        return "✗"
    if waived[code]:
        return "w"
    return "✓" if judged[code] else "-"


def _invariant_notes(judged: Counter[str], waived: Counter[str]) -> list[str]:
    notes = []
    silent = [code for code in RULES if not judged[code]]
    if silent:
        notes.append(f"- judged nothing here, and so showed nothing: {', '.join(silent)} (see looprig explain CODE)")
    if waived:
        notes.append(f"w broken, but waived by the loop's contract: {', '.join(sorted(waived))}")
    return notes


def costs_table(done: Done) -> Table:
    """One row a scenario: what the loop cost; of several seeds the first is shown."""
    rows = []
    for name, outcomes in _by_scenario(done).items():
        metrics = outcomes[0].metrics
        rows.append([name, *(figure(key, metrics.get(key)) for key, _ in COST_METRICS)])
    drops = (0, 5, 6, 4, 0, 1, 2, 7, 3)
    columns = [
        Column("scenario"),
        *(Column(header, "right", drop) for (_, header), drop in zip(COST_METRICS, drops, strict=True)),
    ]
    return Table("costs", columns, rows, _cost_notes(done))


def _cost_notes(done: Done) -> list[str]:
    counter = done[0][0].settings.tokens if done else "estimate"
    shown = "the first seed's; " if any(len(group) > 1 for group in _by_scenario(done).values()) else ""
    return [
        f"{shown}tokens counted by: {counter}; overhead and trim pauses are CPU time of this machine, all else is exact"
    ]


SHOWN_IN_FULL = 3


def violation_lines(done: Done) -> list[str]:
    """Say of each broken invariant, for each scenario, where it broke first and how to see it again."""
    lines: list[str] = []
    for code, rule in RULES.items():
        where = [(step, outcome) for step, outcome in done if outcome.broken.get(code)]
        if not where:
            continue
        total = sum(outcome.broken[code] for _, outcome in where)
        lines += ["", f"✗ {code} {rule.name}: broken {count(total, 'time')} in {count(len(where), 'run')}"]
        lines.append(f"  {rule.sentence}")
        firsts = {outcome.scenario: (step, outcome) for step, outcome in reversed(where)}
        for number, (step, outcome) in enumerate(reversed(firsts.values())):
            found = next(found for found in outcome.violations if found.code == code)
            lines += [f"    {line}" for line in violation(found, step, brief=number >= SHOWN_IN_FULL)]
    return lines


def violation(found: Violation, step: Step, *, brief: bool = False) -> list[str]:
    """Return one violation as lines: where, why, what was sent (not in brief), and the command that shows it again."""
    request = f", request {found.request}" if found.request is not None else ""
    lines = [f"{step.file.name}, turn {found.turn}{request}: {visible(found.because)}"]
    if found.shape and not brief:
        lines.append(f"sent: {found.shape}")
    lines.append(f"replay with: {step.replay_command()}")
    return lines


LEGEND = "S system  N note  U user  A assistant  Cn assistant with n calls  T tool result  ? said by nobody"


def verdict_line(done: Done) -> str:
    """Return the last line: passed or failed, and of how much."""
    runs = count(len(done), "run")
    codes = {code for _, outcome in done for code in outcome.broken}
    judged = sum(sum(outcome.judgements.values()) for _, outcome in done)
    if codes:
        bad = sum(1 for _, outcome in done if outcome.broken)
        where = runs if bad == len(done) else f"{bad} of {runs}"
        return f"FAILED  {count(len(codes), 'invariant')} broken in {where}, {judged:,} judgements"
    silent = sum(1 for code in RULES if not any(outcome.judgements.get(code) for _, outcome in done))
    return f"PASSED  {len(RULES) - silent} invariants held in {runs}, {judged:,} judgements; {silent} judged nothing"


def run_page(done: Done, width: int | None = None) -> str:
    """Return the whole page without its last line: what was run, tables, and what was broken."""
    from looprig.report.table import as_text

    lines = [header(done), ""]
    for table in (scenarios_table(done), invariants_table(done), costs_table(done)):
        lines += [as_text(table, width), ""]
    broken = violation_lines(done)
    if broken:
        lines += ["BROKEN", f"({LEGEND})", *broken, ""]
    return "\n".join(lines)


def header(done: Done) -> str:
    """Return one line that says what was run, where."""
    from looprig.suite import machine
    from looprig.version import __version__

    step = done[0][0]
    settings, facts = step.settings, machine()
    seeds = (
        f"seed {settings.seed}"
        if settings.seeds == 1
        else f"seeds {settings.seed} to {settings.seed + settings.seeds - 1}"
    )
    return (
        f"looprig {__version__} · {step.target.spec} · {seeds} · {settings.clock} time · "
        f"{facts['implementation']} {facts['python']}, {facts['cores']} cores"
    )
