"""What a served loop did, for people: turns, sessions, what broke, and a verdict."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from looprig.invariants import RULES
from looprig.report.figures import count, of_unit, seconds
from looprig.report.table import Column, Table, as_text, visible
from looprig.report.text import LEGEND

Seen = Mapping[str, Any]
"""What `looprig.service.app.Service.seen` returns."""


def page(seen: Seen, serve: Sequence[str], width: int | None = None) -> str:
    """Return the whole page: a table, what broke with an example and its replay line, and the verdict.

    *serve* is the command that started the service.
    """
    lines = [f"looprig {seen['looprig']} · loop service · {seen['loop']} · {seen['scenario']} seed {seen['seed']}", ""]
    if seen["turns"]["started"]:
        lines += [as_text(_figures(seen), width), ""]
    if seen["violations"]:
        lines += [f"BROKEN\n({LEGEND})", *_findings(seen, serve), ""]
    if seen["misuse"]:
        lines += [f"the loop cannot be judged: {visible(seen['misuse'])}", ""]
    return "\n".join([*lines, verdict(seen)])


def _figures(seen: Seen) -> Table:
    turns, sessions = seen["turns"], seen["sessions"]
    ended = turns["finished"] + turns["failed"] + turns["cancelled"]
    rows = [
        ["turns", f"{turns['started']:,}", _named(turns, ("finished", "failed", "cancelled", "refused", "running"))],
        ["sessions", f"{sessions['opened']:,}", _named(sessions, ("refused", "expired", "mixed"))],
        ["requests to the model", f"{seen['requests']:,}", f"{seen['tokens_out']:,} tokens out"],
        ["time of turns", seconds(seen["turn_s"]), f"{seconds(seen['turn_s'] / ended)} a turn" if ended else ""],
        ["time in tools", seconds(seen["tool_s"]), ""],
        ["CPU time of trims", seconds(seen["trim_pause_s"]), ""],
        ["CPU time of the service", seconds(seen["cpu_s"]), ""],
        ["memory of the service", of_unit(seen["rss_bytes"], "bytes"), ""],
    ]
    if seen["faults"]:
        rows.append(["faults made", f"{sum(seen['faults'].values()):,}", _named(seen["faults"], tuple(seen["faults"]))])
    return Table("service", [Column(""), Column("", "right"), Column("")], rows)


def _named(numbers: Mapping[str, int], names: Sequence[str]) -> str:
    return ", ".join(f"{numbers[name]:,} {name}" for name in names if numbers.get(name))


def _findings(seen: Seen, serve: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for code, times in sorted(seen["violations"].items()):
        first = next((found for found in seen["findings"] if found["code"] == code), None)
        if first is None:
            continue
        request = f", request {first['request']}" if first["request"] is not None else ""
        lines += ["", f"✗ {code} {first['what']}: {count(times, 'time')}", f"  {RULES[code].sentence}"]
        lines.append(f"    session {first['session']}, turn {first['turn']}{request}: {visible(first['because'])}")
        if first["shape"]:
            lines.append(f"    sent: {first['shape']}")
        lines.append(f"    replay with: {replay(seen, first, serve)}")
    return lines


def replay(seen: Seen, found: Mapping[str, Any], serve: Sequence[str]) -> str:
    """Return the command that shows a finding again: the session by itself, or the service where sessions met."""
    if found["code"] == "LR132" or seen["sessions"]["mixed"]:
        return f"{shlex.join(serve)}   # and several sessions at once: one by itself cannot show it"
    scenario, seed, parameters = found["script"]
    words = ["looprig", "run", scenario, "--seed", str(seed), "--loop", seen["loop"]]
    return shlex.join([*words, *(word for name, text in parameters for word in ("--set", f"{name}={text}"))])


def passed(seen: Seen) -> bool:
    """Whether no invariant is broken and no session held what is another's."""
    return not seen["violations"] and not seen["sessions"]["mixed"]


def verdict(seen: Seen) -> str:
    """Return the last line: passed or failed, and of how much."""
    turns = seen["turns"]
    if not turns["started"]:
        return "NOTHING  no turn was asked for: is the load pointed to this service?"
    judged = sum(seen["judged"].values())
    of = f"{count(turns['started'], 'turn')} in {count(seen['sessions']['opened'], 'session')}, {judged:,} judgements"
    if seen["misuse"]:
        return f"UNUSABLE  the loop used looprig's model or tools in a way that they cannot serve; {of}"
    if passed(seen):
        return f"PASSED  {count(len(seen['judged']), 'invariant')} held, no sessions mixed; {of}"
    mixed = f", {count(seen['sessions']['mixed'], 'session')} mixed" if seen["sessions"]["mixed"] else ""
    return f"FAILED  {count(len(seen['violations']), 'invariant')} broken{mixed}; {of}"
