"""Plans and tallies for tests, made by the recorder that load runs use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from looprig.load.plan import Arrivals, Plan, Stage, Talk
from looprig.load.recorded import Tally
from looprig.load.recorder import Recorder
from looprig.load.turns import End, Stopwatch, Text
from looprig.load.validity import Counted, scheduled

MACHINE: Mapping[str, str | int] = {"implementation": "CPython", "python": "3.11", "cores": 2}


def plan(**changes: Any) -> Plan:
    """Return a plan of 60 s at 5 constant sessions a second, with changes."""
    stage = Stage(duration_s=60, start=5, end=5)
    made = Plan(
        url="http://127.0.0.1:1",
        stages=(stage,),
        arrivals=Arrivals(kind="constant"),
        talk=Talk(turns=2),
        thresholds=("ttft.p95 < 300ms",),
    )
    return msgspec.structs.replace(made, **changes)


def tally(of: Plan, *, ttft_s: float = 0.1, late_s: float = 0.001, failing: int = 0, turns: int | None = None) -> Tally:
    """Return what a run records in which every turn takes *ttft_s* to its first token; the first *failing* fail."""
    recorder = Recorder(of, facts={"open_files": 1024})
    sessions = scheduled(of)
    number = 0
    for _ in range(sessions):
        recorder.session()
        for turn in (1, 2):
            due = of.duration_s * number / (2 * sessions)
            number += 1
            if turns is not None and number > turns:
                continue
            recorder.offered(due)
            recorder.started(due)
            recorder.observe("gen.send_lag", late_s, due)
            if number <= failing:
                recorder.failed(due, due + ttft_s, "broken stream")
                continue
            watch = Stopwatch(due, due)
            watch.note(Text("Hello"), due + ttft_s)
            watch.note(End(output_tokens=10, history_messages=4, trim_pause_s=0.001), due + ttft_s + 0.1)
            recorder.finished(watch, turn, due, due + ttft_s + 0.1)
    for _ in range(1000):
        recorder.observe("gen.beat", late_s, of.duration_s / 2)
    return recorder.tally(of.duration_s + 1)


def counted(of: Tally, **changes: Any) -> Counted:
    """Return what a service counts that saw the same as *of*."""
    made = Counted(
        started=of.counts.get("started", 0),
        finished=of.counts.get("finished", 0),
        failed=of.counts.get("failed", 0),
        sessions_opened=of.counts.get("sessions", 0),
        cpu_s=3.0,
        rss_bytes=60_000_000,
    )
    return msgspec.structs.replace(made, **changes)
