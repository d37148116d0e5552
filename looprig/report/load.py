"""A load run for people: turns, latencies, thresholds, validity, and a verdict; as text, Markdown and one HTML file."""

from __future__ import annotations

from typing import Any

import msgspec

from looprig.load.plan import Plan
from looprig.load.summary import Figures, Summary
from looprig.load.thresholds import BUCKETS, Kind, shown
from looprig.report import charts, html
from looprig.report.figures import count, seconds
from looprig.report.table import Column, Table, escaped, visible
from looprig.report.table import as_markdown as table_as_markdown
from looprig.report.table import as_text as table_as_text

WORDS = {
    "pass": "PASSED",
    "slo": "FAILED",
    "violated": "FAILED",
    "invalid": "INVALID",
    "error": "ERROR",
    "nothing": "NOTHING",
    "interrupted": "INTERRUPTED",
}

_MARKS = {"met": "✓", "missed": "✗", "no data": "✗", "too few": "?"}

_KINDS: dict[str, Kind] = {"s": "duration", "share": "share", "1/s": "rate", "": "length"}


def verdict_line(summary: Summary) -> str:
    """Return the last line: what the run came to, and of how much."""
    turns = count(summary.counts.get("finished", 0), "turn")
    of = f"{turns} in {count(summary.counts.get('sessions', 0), 'session')}, {summary.lasted_s:,.1f} s"
    word = WORDS[summary.outcome]
    match summary.outcome:
        case "pass":
            return f"{word}  {count(len(summary.thresholds), 'threshold')} met, no invariant broken; {of}"
        case "violated":
            return f"{word}  {', '.join(f'{code} {n:,}x' for code, n in summary.broken.items())} broken; {of}"
        case "slo":
            missed = [each.rule for each in summary.thresholds if each.verdict in ("missed", "no data")]
            return f"{word}  missed: {', '.join(missed) or 'the run was given up before its end'}; {of}"
        case "invalid":
            named = [gate.name for gate in summary.validity if not gate.held]
            named += [f"{each.rule} (n too small)" for each in summary.thresholds if each.verdict == "too few"]
            return f"{word}  nothing is said of the service: {', '.join(named)}; {of}"
        case "error":
            return f"{word}  the run did not come to its end; {of}"
        case "nothing":
            return f"{word}  no turn was offered"
        case _:
            return f"{word}  what was seen until then is kept; {of}"


def header(summary: Summary) -> str:
    """Return one line that says what was run, where."""
    plan, machine = summary.plan, summary.machine
    parts = [
        f"looprig {summary.looprig}",
        f"load on {plan.url}" + (f" ({summary.loop})" if summary.loop else ""),
        f"{plan.talk.scenario} seed {plan.seed}",
        asked(plan),
        f"{machine.get('implementation', '')} {machine.get('python', '')}, {machine.get('cores', '?')} cores".strip(),
    ]
    return " · ".join(parts)


def asked(plan: Plan) -> str:
    """Return in words which load the plan asks for."""
    if plan.users == "replay":
        end = f", {plan.duration_s:g} s of it" if plan.duration_s else ""
        return f"arrivals of {plan.trace}, {plan.trace_scale:g} times as long{end}"
    rates = [
        f"{stage.start:g}" if stage.start == stage.end else f"{stage.start:g} to {stage.end:g}" for stage in plan.stages
    ]
    what = "users" if plan.users == "closed" else f"sessions/s, {plan.arrivals.kind}"
    return f"{', '.join(rates)} {what} for {plan.duration_s:g} s"


def tables(summary: Summary) -> list[Table]:
    """Return what a run is told by, in order; a table without rows is left out."""
    made = [
        turns_table(summary),
        latencies_table(summary),
        others_table(summary),
        reasons_table(summary),
        thresholds_table(summary),
        validity_table(summary),
        service_table(summary),
    ]
    return [table for table in made if table.rows]


def turns_table(summary: Summary) -> Table:
    """One row: turns by what became of them, and the rates."""
    names = ("offered", "finished", "failed", "cancelled", "dropped", "good")
    scalars = summary.scalars
    row = [f"{summary.counts.get('sessions', 0):,}", *(f"{summary.counts.get(name, 0):,}" for name in names)]
    row += [shown(scalars.get("error_rate"), "share"), shown(scalars.get("turns_per_s"), "rate")]
    row += [shown(scalars.get("goodput"), "rate"), shown(scalars.get("tokens_per_s"), "rate")]
    headers = ("sessions", *names, "errors", "turns", "goodput", "tokens")
    drops = (0, 0, 0, 0, 4, 5, 3, 0, 1, 0, 2)
    slos = ", ".join(f"{name} < {shown(limit, 'duration')}" for name, limit in summary.plan.slos.items())
    notes = [f"good: finished, correct{f', and {slos}' if slos else ''}"]
    return Table(
        "turns", [Column(text, "right", drop) for text, drop in zip(headers, drops, strict=True)], [row], notes
    )


def latencies_table(summary: Summary) -> Table:
    """One row a duration, and one for each bucket of turns that it was told by."""
    rows = [
        [_name(name), f"{each.count:,}", *_durations(each)]
        for name, each in summary.metrics.items()
        if each.unit == "s" and not name.startswith("gen.") and name != "think" and _told_by_turn(name)
    ]
    columns = [
        Column("latency"),
        Column("n", "right"),
        Column("mean", "right", 4),
        Column("p50", "right"),
        Column("p90", "right", 2),
        Column("p95", "right"),
        Column("p99", "right"),
        Column("p99.9", "right", 3),
        Column("max", "right", 1),
    ]
    notes = ["from when a turn was due, not from when it was sent; -: n too small for that percentile"]
    return Table("latencies", columns, rows, notes if rows else [])


def _told_by_turn(name: str) -> bool:
    """Say whether the row is shown; summary.json has all of them."""
    metric, braces, _ = name.partition("{")
    return not braces or metric in ("ttft", "trim_pause")


def _durations(each: Figures) -> list[str]:
    values = (each.mean, each.p50, each.p90, each.p95, each.p99, each.p99_9, each.max)
    return ["-" if value is None else seconds(value) for value in values]


def _name(name: str) -> str:
    metric, braces, bucket = name.partition("{turn=")
    return f"{metric}, turn {bucket.rstrip('}')}" if braces else metric


def others_table(summary: Summary) -> Table:
    """One row a length, and the think times: what the load itself was like."""
    rows = [
        [
            name,
            f"{each.count:,}",
            _figure(each.mean, each, 2),
            *(_figure(value, each) for value in (each.p50, each.p95, each.max)),
        ]
        for name, each in summary.metrics.items()
        if "{" not in name and (each.unit != "s" or name == "think")
    ]
    columns = [Column("of the load"), *(Column(text, "right") for text in ("n", "mean", "p50", "p95", "max"))]
    return Table("the conversations", columns, rows)


def _figure(value: float | None, each: Figures, digits: int = 0) -> str:
    if value is None:
        return "-"
    return seconds(value) if each.unit == "s" else f"{value:,.{digits}f}"


def reasons_table(summary: Summary) -> Table:
    """One row for each reason why turns failed or were cancelled."""
    rows = [["failed", reason, f"{n:,}"] for reason, n in summary.failed.items()]
    rows += [["cancelled", reason, f"{n:,}"] for reason, n in summary.cancelled.items()]
    return Table("turns that did not finish", [Column("turns"), Column("because"), Column("n", "right")], rows)


def thresholds_table(summary: Summary) -> Table:
    """One row a threshold; a run that is not valid has none, for it gives no verdict."""
    rows = [
        [
            _MARKS[each.verdict],
            each.rule,
            shown(each.value, _KINDS[each.unit]),
            "-" if each.samples is None else f"{each.samples:,}",
            each.because if each.verdict in ("no data", "too few") else each.verdict,
        ]
        for each in summary.thresholds
    ]
    columns = [Column(""), Column("threshold"), Column("measured", "right"), Column("n", "right", 1), Column("verdict")]
    return Table("thresholds", columns, rows)


def validity_table(summary: Summary) -> Table:
    """One row for each thing that has to be so for the run to mean something."""
    rows = [["✓" if gate.held else "✗", gate.name, gate.seen, gate.limit] for gate in summary.validity]
    columns = [Column(""), Column("validity"), Column("seen"), Column("limit", drop=1)]
    return Table("is the run valid", columns, rows)


def service_table(summary: Summary) -> Table:
    """One row: what the service says of itself."""
    server = summary.server
    columns = [
        Column("turns finished", "right"),
        Column("CPU per turn", "right"),
        Column("CPU", "right"),
        Column("memory", "right"),
        Column("sessions mixed", "right"),
    ]
    if server is None:
        return Table("the service's own account", columns, [])
    per_turn = seconds(server.cpu_s / server.finished) if server.finished else "-"
    share = f"{server.cpu_s / summary.lasted_s:.0%} of a core" if summary.lasted_s else "-"
    memory = f"{server.rss_bytes / 1e6:,.1f} MB"
    row = [f"{server.finished:,}", per_turn, share, memory, f"{server.sessions_mixed:,}"]
    return Table("the service's own account", columns, [row])


def as_text(summary: Summary, width: int | None = None) -> str:
    """Return the page for a terminal of *width* columns, or for a log, without its last line."""
    lines = [header(summary), ""]
    for table in tables(summary):
        lines += [table_as_text(table, width), ""]
    if summary.because:
        lines += [_heading(summary), *(f"- {visible(text)}" for text in summary.because), ""]
    return "\n".join(lines)


def _heading(summary: Summary) -> str:
    return {"violated": "BROKEN", "invalid": "NOT VALID"}.get(summary.outcome, WORDS[summary.outcome])


def as_markdown(summary: Summary) -> str:
    """Return the page as Markdown, verdict first."""
    parts = [f"## {escaped(verdict_line(summary))}", "", escaped(header(summary)), ""]
    parts += [*(f"- {escaped(text)}" for text in summary.because), ""] if summary.because else []
    for table in tables(summary):
        parts += [table_as_markdown(table), ""]
    return "\n".join(parts)


def as_html(summary: Summary) -> str:
    """Return the page as one HTML file: verdict, charts, tables, and the plan to do it again."""
    kind = "good" if summary.outcome == "pass" else "bad"
    because = "".join(f"<li>{html.escaped(text)}</li>\n" for text in summary.because)
    parts = [
        f'<h1 class="{kind}">{html.escaped(verdict_line(summary))}</h1>',
        f'<p class="soft">{html.escaped(header(summary))}</p>',
        f"<ul>\n{because}</ul>" if because else "",
        rate_chart(summary),
        ttft_chart(summary),
        *(html.table(table) for table in tables(summary)),
        f"<details><summary>the plan</summary><pre>{html.escaped_lines(_plan(summary))}</pre></details>",
    ]
    return html.page(f"{WORDS[summary.outcome]}: load on {summary.plan.url}", [part for part in parts if part])


def _plan(summary: Summary) -> str:
    return msgspec.json.format(msgspec.json.encode(summary.plan), indent=2).decode()


def rate_chart(summary: Summary) -> str:
    """Return turns offered, finished and failed, by the second."""
    series = {name: summary.series[name] for name in ("offered", "finished", "failed") if name in summary.series}
    if not any(summary.series.get("failed", ())):
        series.pop("failed", None)
    return charts.lines("turns per second", "seconds of the run", series)


def ttft_chart(summary: Summary) -> str:
    """Return the time to the first token, for each bucket of turns."""
    rows: dict[str, Any] = {}
    for bucket in BUCKETS:
        each = summary.metrics.get(f"ttft{{turn={bucket}}}")
        if each is not None:
            rows[f"turn {bucket}"] = {name: _ms(getattr(each, name)) for name in ("p50", "p90", "p99")}
    return charts.percentiles("time to first token by turn", "ms", rows)


def _ms(value: float | None) -> float | None:
    return None if value is None else value * 1000
