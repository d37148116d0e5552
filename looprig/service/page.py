"""What a service tells of itself: JSON for programs, Prometheus text, and a page of its addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from looprig.service.judging import Bench
from looprig.service.sessions import Sessions
from looprig.service.settings import Settings
from looprig.service.tally import Tally, cpu_s, rss_bytes
from looprig.service.turns import Turns
from looprig.serving.prometheus import family
from looprig.version import __version__

ADDRESSES: Mapping[str, str] = {
    "POST /v1/sessions": 'opens a session: {"scenario": NAME, "seed": N, "parameters": {...}}, all of it optional',
    "POST /v1/sessions/ID/turns": 'says {"text": ...}; answered as server-sent events, up to end or error',
    "DELETE /v1/sessions/ID": "closes a session",
    "POST /v1/chat/completions": "OpenAI's Chat Completions, streamed or not; the answer is the loop's",
    "GET /v1/stats": "counts of turns and sessions, broken invariants, CPU time and memory",
    "GET /metrics": "the same for Prometheus",
    "GET /health": "whether new sessions and turns are taken",
}


def stats(sessions: Sessions, turns: Turns, bench: Bench, tally: Tally) -> dict[str, Any]:
    """Return the state of the service as plain data."""
    return {
        "turns": {**tally.turns, "running": len(turns.running)},
        "sessions": {"open": len(sessions), **tally.sessions},
        "violations": dict(bench.broken),
        "waived": dict(bench.waived),
        "judged": {code: times for code, times in bench.judged.items() if times},
        "faults": dict(tally.faults),
        "requests": tally.requests,
        "tokens_out": tally.tokens_out,
        "turn_s": round(tally.turn_s, 6),
        "tool_s": round(tally.tool_s, 6),
        "trim_pause_s": round(tally.trim_pause_s, 6),
        "cpu_s": round(cpu_s(), 6),
        "rss_bytes": rss_bytes(),
    }


def seen(settings: Settings, told: Mapping[str, Any], bench: Bench, misuse: str | None) -> dict[str, Any]:
    """Return everything that a verdict is made of."""
    return {
        "looprig": __version__,
        "loop": settings.spec,
        "scenario": settings.scenario,
        "seed": settings.seed,
        **told,
        "misuse": misuse,
        "findings": [msgspec.to_builtins(found) for found in bench.findings],
    }


def as_prometheus(told: Mapping[str, Any]) -> str:
    """Return what `stats` tells in the text format of Prometheus."""
    lines: list[str] = []
    turns, sessions = dict(told["turns"]), dict(told["sessions"])
    running, open_ = turns.pop("running"), sessions.pop("open")
    for name, kind, help_, values in (
        ("turns_total", "counter", "Turns by what became of them.", _labelled("state", turns)),
        ("turns_running", "gauge", "Turns that run.", {"": running}),
        ("sessions_total", "counter", "Sessions by what became of them.", _labelled("state", sessions)),
        ("sessions_open", "gauge", "Sessions that are open.", {"": open_}),
        ("violations_total", "counter", "Times that an invariant was broken.", _labelled("code", told["violations"])),
        ("judgements_total", "counter", "Times that an invariant was judged.", _labelled("code", told["judged"])),
        ("faults_total", "counter", "Faults that were made on purpose.", _labelled("kind", told["faults"])),
        ("requests_total", "counter", "Requests of the loops to their model.", {"": told["requests"]}),
        ("tokens_out_total", "counter", "Deltas of the model's replies.", {"": told["tokens_out"]}),
        ("turn_seconds_total", "counter", "Time of the turns that are over.", {"": told["turn_s"]}),
        ("tool_seconds_total", "counter", "Time of turns in which a tool ran.", {"": told["tool_s"]}),
        ("trim_pause_seconds_total", "counter", "CPU time of trims.", {"": told["trim_pause_s"]}),
        ("cpu_seconds_total", "counter", "CPU time of this process.", {"": told["cpu_s"]}),
        ("resident_bytes", "gauge", "Memory of this process.", {"": told["rss_bytes"]}),
    ):
        family(lines, f"service_{name}", kind, help_, values)
    return "\n".join(lines) + "\n"


def _labelled(label: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f'{label}="{key}"': value for key, value in values.items()}


def addresses(settings: Settings) -> bytes:
    """Return the page of addresses."""
    width = max(map(len, ADDRESSES))
    lines = [f"{address.ljust(width)}  {what}" for address, what in ADDRESSES.items()]
    head = f"looprig {__version__} serves the loop {settings.spec}, which plays {settings.scenario}"
    return "\n".join([head, "", *lines, ""]).encode()
