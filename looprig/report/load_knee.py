"""A knee for people: each rate that was measured, the interval, and what gives way first."""

from __future__ import annotations

from looprig.exits import Exit
from looprig.load.knee import kept_share
from looprig.load.search import Searched
from looprig.load.thresholds import shown
from looprig.report import charts, html
from looprig.report.figures import count
from looprig.report.table import Column, Table, escaped, visible
from looprig.report.table import as_markdown as table_as_markdown
from looprig.report.table import as_text as table_as_text


def exit_code(found: Searched) -> Exit:
    """Return the exit code: no rate that keeps the thresholds misses them; a generator's limit is no verdict."""
    if found.broken:
        return Exit.VIOLATED
    if found.ended.how == "interrupted":
        return Exit.INTERRUPTED
    if found.ended.how == "error" or found.knee.limit == "generator":
        return Exit.UNDECIDED
    if found.knee.low is None:
        return Exit.REGRESSED if found.knee.high is not None else Exit.UNDECIDED
    return Exit.PASSED


def verdict_line(found: Searched) -> str:
    """Return the last line."""
    if found.broken:
        return f"FAILED  {', '.join(f'{code} {n:,}x' for code, n in found.broken.items())} broken"
    word = {
        Exit.PASSED: "PASSED",
        Exit.REGRESSED: "FAILED",
        Exit.UNDECIDED: "INVALID" if found.ended.how == "finished" else "ERROR",
        Exit.INTERRUPTED: "INTERRUPTED",
    }[exit_code(found)]
    of = f"{count(len(found.knee.attempts), 'run')}{', which is all that were allowed' if found.knee.exhausted else ''}"
    return f"{word}  the knee, in sessions: {found.knee.sentence}; {of}"


def table(found: Searched) -> Table:
    """Return one row for each rate, in order: how many runs kept the thresholds, goodput, and what was missed."""
    attempts = found.knee.attempts
    rows = []
    for rate, (kept, runs) in kept_share(attempts).items():
        here = [each for each in attempts if each.rate == rate]
        gave = dict.fromkeys(name for each in here for name in each.gave_way)
        goodputs = [each.goodput for each in here if each.goodput is not None]
        goodput = shown(sum(goodputs) / len(goodputs), "rate") if goodputs else "-"
        rows.append([f"{rate:.4g}/s", f"{kept} of {runs}", goodput, ", ".join(gave) or "-"])
    columns = [
        Column("sessions", "right"),
        Column("kept in", "right"),
        Column("good turns", "right"),
        Column("gave way"),
    ]
    return Table("rates that were measured", columns, rows, [_rules(found)])


def _rules(found: Searched) -> str:
    slos = [f"{name} < {shown(limit, 'duration')}" for name, limit in found.plan.slos.items()]
    of_good = f"; a good turn: {', '.join(slos)}" if slos else ""
    return f"thresholds: {', '.join(found.plan.thresholds)}{of_good}; runs of {found.plan.duration_s:g} s"


def _header(found: Searched) -> str:
    cores = found.machine.get("cores", "?")
    what = f"{found.plan.url}{f' ({found.loop})' if found.loop else ''}"
    return f"the knee of {what} · {found.plan.talk.scenario} from seed {found.plan.seed} · {cores} cores"


def as_text(found: Searched, width: int | None = None) -> str:
    """Return the page for a terminal of *width* columns, or for a log, without its last line."""
    lines = [_header(found), "", table_as_text(table(found), width), ""]
    return "\n".join([*lines, *([f"- {visible(found.ended.because)}", ""] if found.ended.because else [])])


def as_markdown(found: Searched) -> str:
    """Return the page as Markdown, verdict first."""
    parts = [f"## {escaped(verdict_line(found))}", "", escaped(_header(found)), ""]
    return "\n".join([*parts, table_as_markdown(table(found)), ""])


def as_html(found: Searched) -> str:
    """Return the page as one HTML file."""
    attempts = found.knee.attempts
    goodputs = {
        f"{rate:.3g}/s": {
            "least": min(
                (each.goodput for each in attempts if each.rate == rate and each.goodput is not None), default=None
            ),
            "most": max(
                (each.goodput for each in attempts if each.rate == rate and each.goodput is not None), default=None
            ),
        }
        for rate in kept_share(attempts)
    }
    kind = "good" if exit_code(found) is Exit.PASSED else "bad"
    parts = [
        f'<h1 class="{kind}">{html.escaped(verdict_line(found))}</h1>',
        f'<p class="soft">{html.escaped(_header(found))}</p>',
        charts.percentiles("good turns by arrival rate", "1/s", goodputs),
        html.table(table(found)),
    ]
    return html.page("the knee", [part for part in parts if part])
