"""What the clients of a server did, for people: sessions, what was refused, what is broken, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from looprig.invariants import RULES
from looprig.report.figures import count
from looprig.report.table import Column, Table, as_text, visible
from looprig.report.text import LEGEND

ROWS = 20

Seen = Mapping[str, Any]
"""What `looprig.server.app.App.seen` returns."""


def page(seen: Seen, replay: str, width: int | None = None) -> str:
    """Return the whole page: tables, findings with the first case of each, and the verdict; *replay* is a command."""
    lines = [f"looprig {seen['looprig']} · strict model · {seen['scenario']} seed {seen['seed']}", ""]
    if seen["requests"]:
        lines += [as_text(_sessions(seen), width), ""]
    found = findings(seen)
    if found:
        lines += [f"BROKEN\n({LEGEND})", *found, "", f"replay with: {replay}", ""]
    return "\n".join([*lines, verdict(seen)])


def _sessions(seen: Seen) -> Table:
    shown = seen["by_session"][:ROWS]
    rows = [
        [
            str(each["session"]),
            each["provider"],
            f"{each['turns']:,}",
            f"{each['requests']:,}",
            f"{sum(each['refused'].values()):,}",
            _codes({**each["broken"], **each["refused"]}) or "✓",
        ]
        for each in shown
    ]
    columns = [
        Column("session", "right"),
        Column("provider"),
        Column("turns", "right"),
        Column("requests", "right"),
        Column("refused", "right"),
        Column("verdict"),
    ]
    rest = seen["sessions"] - len(shown)
    notes = [f"and {count(rest, 'further session')}; the journal has them"] if rest > 0 else []
    return Table("sessions", columns, rows, notes)


def _codes(counts: Mapping[str, int]) -> str:
    return "✗ " + ", ".join(f"{code} {number}x" for code, number in counts.items()) if counts else ""


def findings(seen: Seen) -> list[str]:
    """Return each broken invariant and each rule that refused a request, with the first case."""
    lines: list[str] = []
    counts = {**seen["broken"], **seen["refused"]}
    for code, number in counts.items():
        first = next((found for found in seen["findings"] if found["code"] == code), None)
        if first is None:
            continue
        lines += ["", f"✗ {code} {first['what']}: {count(number, 'time')}"]
        if code in RULES:
            lines.append(f"  {RULES[code].sentence}")
        lines.append(f"    {_where(first)}: {visible(first['because'])}")
        if first["param"]:
            lines.append(f"    param: {visible(first['param'])}")
        if first["shape"]:
            lines.append(f"    sent: {first['shape']}")
    return lines


def _where(found: Mapping[str, Any]) -> str:
    turn = f", turn {found['turn']}" if found["turn"] >= 0 else ""
    request = f", request {found['request']}" if found["request"] is not None else ""
    status = f", HTTP {found['status']}" if found["status"] else ""
    return f"{found['provider']} session {found['session']}{turn}{request}{status}"


def verdict(seen: Seen) -> str:
    """Return the last line: passed or failed, and of how much."""
    if not seen["requests"]:
        return "NOTHING  no request came: is the client pointed to this server?"
    judged = sum(seen["judged"].values())
    of = f"{count(seen['requests'], 'request')} in {count(seen['sessions'], 'session')}, {judged:,} judgements"
    if seen["passed"]:
        return f"PASSED  {count(len(seen['judged']), 'invariant')} held, nothing refused; {of}"
    broken, refused = len(seen["broken"]), sum(seen["refused"].values())
    return f"FAILED  {count(broken, 'invariant')} broken, {count(refused, 'request')} refused; {of}"


def addresses(url: str, variables: Mapping[str, str], scenario: str) -> Sequence[str]:
    """Return what is printed when the server is up: where it is, and what to set."""
    return [
        f"the strict model plays {scenario} at {url}; stop it with Ctrl-C",
        f"what to type: {url}/scenario   what was seen: {url}/journal   totals: {url}/metrics",
        "",
        *(f"export {name}={value}" for name, value in variables.items()),
        "",
    ]
