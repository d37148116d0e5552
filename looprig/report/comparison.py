"""A comparison for people: the seed report's three before/after tables, with measured figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from looprig.compare import Compared, Side
from looprig.metrics import METRICS
from looprig.report import judged
from looprig.report.figures import change, figure, of_unit
from looprig.report.table import Column, Table
from looprig.report.table import as_markdown as table_as_markdown
from looprig.report.table import as_text as table_as_text
from looprig.verdicts import Comparison, Layer, Verdict

Reading = tuple[str, str, Callable[[Side], float | None], str]
"""Aspect (the seed's row), what is measured, how it is read from a side, and its unit."""


def _total(metric: str) -> Callable[[Side], float | None]:
    return lambda side: side.total(metric)


def _largest(metric: str) -> Callable[[Side], float | None]:
    return lambda side: side.largest(metric)


def _statistic(name: str) -> Callable[[Side], float | None]:
    return lambda side: side.statistic(name)


def _broken(code: str) -> Callable[[Side], float | None]:
    return lambda side: float(side.broken(code))


def _operations(side: Side) -> float | None:
    names = [name for name in side.statistic_names() if name.endswith(".count")]
    return float(sum(1 for name in names if side.statistic(name)))


def _spans(side: Side) -> float | None:
    names = [name for name in side.statistic_names() if name.endswith(".count")]
    turns = side.total("turns") or 0
    return sum(side.statistic(name) or 0 for name in names) / turns if turns else None


def _of_runs(name: str) -> Callable[[Side], float | None]:
    def share(side: Side) -> float | None:
        runs = side.total("tool_runs")
        return (side.statistic(name) or 0) / runs if runs else None

    return share


MEMORY: Sequence[Reading] = (
    ("Memory Trimming", "trims", _total("trims"), "count"),
    ("", "of these, inside a turn", _total("trims_in_turn"), "count"),
    ("", "messages trimmed", _total("messages_trimmed"), "count"),
    ("Memory Bloat Risk", "longest history, messages", _largest("history_messages_peak"), "count"),
    ("", "largest request, tokens", _largest("request_tokens_peak"), "count"),
    ("", "appends above the trigger", _total("messages_above_trigger"), "count"),
    ("Memory Efficiency", "tokens sent", _total("tokens_sent"), "count"),
    ("", "prompt-cache prefix share", lambda side: side.weighted("cached_prefix_share", "tokens_sent"), "share"),
    ("", "peak utilisation", _largest("utilisation_peak"), "ratio"),
    ("Performance Impact", "trim pause, p99 (noisy)", _largest("trim_pause_us_p99"), "us"),
    (
        "",
        "overhead per message (noisy)",
        lambda side: side.weighted("overhead_per_message_us", "messages_said"),
        "us",
    ),
)

MONITORING: Sequence[Reading] = (
    ("Operation Tracking", "operations timed", _operations, "count"),
    ("", "spans per turn", _spans, "ratio"),
    ("Performance Alerts", "alerts at WARNING (above 5 s)", _statistic("alerts.warning"), "count"),
    ("", "alerts at INFO (above 1 s)", _statistic("alerts.info"), "count"),
    ("Memory Statistics", "statistics that the loop offers", lambda side: float(len(side.statistic_names())), "count"),
    ("Debugging Support", "errors logged with traceback", _statistic("errors_with_traceback"), "count"),
)

TOOLS: Sequence[Reading] = (
    ("Memory Management", "results sent without their call (LR121)", _broken("LR121"), "count"),
    ("", "requests without the user's message (LR102)", _broken("LR102"), "count"),
    ("Performance Tracking", "tool spans per tool run", _of_runs("tool_execution.count"), "ratio"),
    ("Error Context", "failures counted", _statistic("tool_execution.failures"), "count"),
    ("", "calls left without a result (LR122)", _broken("LR122"), "count"),
    ("Parallel Foundation", "speed-up over one by one", _largest("parallel_speedup"), "ratio"),
    ("", "speed-up that conflicts allow", _largest("parallel_speedup_possible"), "ratio"),
)


def tables(compared: Compared) -> list[Table]:
    """Return the three tables of the seed report, then one row a scenario, then the exact metrics that got worse."""
    made = [
        _seed_table("memory management", MEMORY, compared),
        _seed_table("performance monitoring", MONITORING, compared),
        _seed_table("tool execution", TOOLS, compared),
        _by_scenario(compared),
    ]
    worse = _regressions(compared)
    if worse.rows:
        made.append(worse)
    if compared.judged:
        made.append(judged.table("counted and timed", "scenario", compared.judged))
    return made


def _seed_table(title: str, readings: Sequence[Reading], compared: Compared) -> Table:
    rows = []
    for aspect, what, read, unit in readings:
        before, after = read(compared.before), read(compared.after)
        noisy = "(noisy)" in what
        rows.append([aspect, what, _cell(before, unit), _cell(after, unit), "~" if noisy else change(before, after)])
    columns = [
        Column("aspect"),
        Column("measured"),
        Column("before", "right"),
        Column("after", "right"),
        Column("change", "right"),
    ]
    return Table(title, columns, rows, _notes(title, compared))


def _cell(value: float | None, unit: str) -> str:
    return "-" if value is None else of_unit(value, unit)


def _notes(title: str, compared: Compared) -> list[str]:
    if title != "memory management":
        return []
    return [
        f"~ CPU time, medians of {compared.rounds} interleaved runs: too few to show that a difference is real",
        f"all other figures are exact; tokens counted by: {compared.settings.tokens}",
    ]


def _by_scenario(compared: Compared) -> Table:
    rows = []
    for name in compared.before.runs:
        sides = (compared.before, compared.after)
        tokens, peaks, cached = (
            [side.value(name, metric) for side in sides]
            for metric in ("tokens_sent", "history_messages_peak", "cached_prefix_share")
        )
        broken = [sum(side.runs[name][0].broken.values()) for side in sides]
        rows.append(
            [
                name,
                *(figure("tokens_sent", value) for value in tokens),
                change(*tokens),
                *(figure("history_messages_peak", value) for value in peaks),
                *(figure("cached_prefix_share", value) for value in cached),
                *(f"{number:,}" for number in broken),
            ]
        )
    columns = [
        Column("scenario"),
        Column("tokens before", "right"),
        Column("after", "right"),
        Column("change", "right"),
        Column("peak before", "right", 4),
        Column("after", "right", 3),
        Column("cached before", "right", 6),
        Column("after", "right", 5),
        Column("broken before", "right", 2),
        Column("after", "right", 1),
    ]
    return Table("by scenario", columns, rows)


def _regressions(compared: Compared) -> Table:
    """One row a metric: in how many scenarios it got worse, and the one where it got worst."""
    worse: dict[str, list[Comparison]] = {}
    for found in compared.comparisons():
        if found.verdict is Verdict.REGRESSED and found.metric in METRICS:
            worse.setdefault(found.metric, []).append(found)
    rows = []
    for metric, all_found in worse.items():
        worst = max(all_found, key=_by_factor)
        values = (worst.before, worst.after)
        rows.append(
            [metric, str(len(all_found)), worst.scenario, *(figure(metric, value) for value in values), change(*values)]
        )
    columns = [
        Column("metric"),
        Column("scenarios", "right"),
        Column("most in"),
        *(Column(name, "right") for name in ("before", "after", "change")),
    ]
    return Table("exact metrics that got worse", columns, rows)


def _by_factor(found: Comparison) -> float:
    """Return by what factor a metric changed, whichever way."""
    before, after = found.before or 0.0, found.after or 0.0
    return max(before, after) / min(before, after) if min(before, after) > 0 else float("inf")


def verdict_line(compared: Compared) -> str:
    """Return the last line: how many metrics got better and worse, and whether AFTER breaks an invariant.

    Undecided is no pass, and no failure.
    """
    verdicts = [found.verdict for found in compared.comparisons()]
    figures = ", ".join(f"{verdicts.count(word)} {word}" for word in Verdict)
    before, after = compared.before.broken(), compared.after.broken()
    layers = {found.verdict for found in compared.judged}
    word = "UNDECIDED" if Verdict.UNDECIDED in layers else "PASSED"
    if after or Verdict.REGRESSED in layers:
        word = "FAILED"
    return f"{word}  invariants broken: {before:,} times before, {after:,} times after; metrics: {figures}"


def header(compared: Compared) -> str:
    """Return one line that says what is compared."""
    return f"before: {compared.before.spec}   after: {compared.after.spec}   seed {compared.settings.seed}"


def as_text(compared: Compared, width: int | None = None) -> str:
    """Return the whole page for a terminal of *width* columns, or for a log."""
    parts = [header(compared), "", *(part for table in tables(compared) for part in (table_as_text(table, width), ""))]
    return "\n".join([*parts, verdict_line(compared)])


def as_markdown(compared: Compared) -> str:
    """Return the whole page as Markdown, verdict first."""
    parts = [f"## {verdict_line(compared)}", "", header(compared), ""]
    for table in tables(compared):
        parts += [table_as_markdown(table), ""]
    return "\n".join(parts)


def as_data(compared: Compared) -> dict[str, Any]:
    """Return the comparison as data: both sides' broken invariants, and every metric with its verdict."""
    return {
        "schema_version": 1,
        "before": _side(compared.before),
        "after": _side(compared.after),
        "seed": compared.settings.seed,
        "rounds": compared.rounds,
        "tokens": compared.settings.tokens,
        "comparisons": [
            {"scenario": each.scenario, "exact": _exact(each), **judged.as_data(each)}
            for each in compared.comparisons()
        ],
    }


def _exact(each: Comparison) -> bool:
    return each.layer is Layer.COUNTERS and each.metric in METRICS and METRICS[each.metric].exact


def _side(side: Side) -> dict[str, Any]:
    return {
        "loop": side.spec,
        "broken": {name: dict(runs[0].broken) for name, runs in side.runs.items() if runs[0].broken},
    }
