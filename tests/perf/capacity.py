"""Measures what a turn and a session of the served reference loop cost, and prints reports/capacity.md.

Two sizes are measured to tell the costs from, and two larger ones to see whether they were told right: ``make
capacity`` runs it. It ends with 1 where the model is off by more than `OFF_MOST`.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from statistics import median

from looprig.load import capacity
from looprig.load.plan import Plan, Stage, Talk, Think
from looprig.load.readings import Readings
from looprig.load.running import How, run
from looprig.load.service import ServiceWanted, running
from tests.perf.targets import Section, Target, report, table

FIT, CHECK = (40, 120), (240, 360)
"""Sessions at one time: what costs are told from, and what they are held against."""

FOR_S = 30.0
THINK_S = 2.0
ROUNDS = 3
OFF_MOST = 0.15

CORES, MEMORY = 16, 64e9
"""The host that fleets are told in."""

SESSIONS = (100, 1_000, 10_000, 100_000)


def measured(sessions: int) -> capacity.Size:
    """Return the medians of some runs at one size, each on a service of its own."""
    made = [_once(sessions, number) for number in range(ROUNDS)]
    return capacity.Size(
        sessions=sessions,
        think_s=THINK_S,
        **{name: median(getattr(each, name) for each in made) for name in _MEASURED},
    )


_MEASURED = ("turns_per_s", "cpu_share", "memory_bytes", "response_s")


def _once(sessions: int, number: int) -> capacity.Size:
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(
            url="",
            seed=1 + number,
            users="closed",
            stages=(Stage(duration_s=FOR_S, start=sessions, end=sessions),),
            # Conversations of the same length at every size, so that a session is the same thing in all of them.
            talk=Talk(think=Think(median_s=THINK_S, sigma=0.0)),
            warmup_s=FOR_S / 3,
            folder=folder,
        )
        wanted = ServiceWanted("reference", ("--ttft", "100ms", "--itl", "10ms"))
        ran = run(plan, How(), partial(running, wanted, Path(folder)), lambda _passed, _tally: None)
    readings = Readings(ran.plan, ran.tally)
    e2e = readings.samples("e2e")
    if ran.server is None or e2e is None or e2e.mean is None:
        raise SystemExit(f"{sessions} sessions: nothing was measured: {ran.ended.because}")
    # The service's CPU time is of the whole run, and so are the turns that it is divided by.
    turns_per_s = readings.scalar("turns_per_s") or 0.0
    return capacity.Size(
        sessions=sessions,
        turns_per_s=turns_per_s,
        cpu_share=ran.server.cpu_s / ran.server.finished * turns_per_s,
        memory_bytes=ran.server.rss_bytes,
        response_s=e2e.mean,
        think_s=THINK_S,
    )


def check() -> Section:
    """Tell the costs from two sizes, and hold them against two others."""
    small, large = (measured(sessions) for sessions in FIT)
    cost = capacity.fit(small, large)
    targets, rows = [], []
    for each in (small, large, *(measured(sessions) for sessions in CHECK)):
        told = capacity.expected(cost, each.sessions, small.response_s, THINK_S)
        named = [
            ("turns/s", told.turns_per_s, each.turns_per_s, f"{each.turns_per_s:.1f}"),
            ("CPU", told.cpu_share, each.cpu_share, f"{each.cpu_share:.1%} of a core"),
            ("memory", told.memory_bytes, each.memory_bytes, f"{each.memory_bytes / 1e6:.1f} MB"),
        ]
        held = each.sessions in CHECK
        rows.append(
            [f"{each.sessions:,.0f}", "checked" if held else "told from"]
            + [text for _, _, _, text in named]
            + [f"{capacity.off(predicted, value):+.1%}" for _, predicted, value, _ in named]
        )
        targets += [
            Target(
                f"{name} of {each.sessions:,.0f} sessions, predicted",
                f"{capacity.off(predicted, value):+.1%}",
                f"within {OFF_MOST:.0%}",
                abs(capacity.off(predicted, value)) <= OFF_MOST,
            )
            for name, predicted, value, _ in named
            if held
        ]
    headers = ["sessions", "", "turns/s", "CPU", "memory", "turns/s off", "CPU off", "memory off"]
    return Section(
        "A process, measured and predicted",
        "python -m tests.perf.capacity",
        targets,
        [table(headers, rows), _costs(cost, small.response_s), _fleets(cost, small.response_s)],
    )


def _costs(cost: capacity.Cost, response_s: float) -> str:
    return (
        f"A turn costs S = {cost.turn_s * 1e3:.2f} ms of CPU time, a session {cost.session_bytes / 1e3:.1f} kB; a "
        f"process by itself {cost.idle_share:.1%} of a core and {cost.idle_bytes / 1e6:.1f} MB. A turn takes "
        f"R = {response_s:.3f} s, and Z = {THINK_S:g} s lie between two turns."
    )


def _fleets(cost: capacity.Cost, response_s: float) -> str:
    rows = []
    for think_s in (THINK_S, 18.0, 120.0):
        for sessions in SESSIONS:
            made = capacity.fleet(
                cost, sessions, response_s=response_s, think_s=think_s, cores=CORES, memory_bytes=MEMORY
            )
            rows.append(
                [
                    f"{think_s:g} s",
                    f"{sessions:,}",
                    f"{made.turns_per_s:,.1f}",
                    f"{made.workers:,}",
                    f"{made.hosts:,}",
                    f"{made.memory_bytes / 1e9:,.1f} GB",
                    made.limit,
                ]
            )
    headers = ["pause Z", "sessions N", "turns/s X", "workers", "hosts", "memory", "hosts are for"]
    return "\n".join(
        [
            f"Fleets, extrapolated: workers at most {capacity.BUSY_MOST:.0%} busy, hosts of {CORES} cores and "
            f"{MEMORY / 1e9:.0f} GB.",
            "",
            table(headers, rows),
        ]
    )


ABOUT = [
    "",
    "X = N / (R + Z) (Little's law), U = U0 + X · S (the utilisation law), workers = X · S / (0.6 - U0),",
    "memory = workers · M0 + N · m. Where they are from, and what they leave out, says `looprig/load/capacity.py`.",
    "Costs are told from the two smaller sizes by straight lines, and held against the two larger ones.",
]


def main() -> None:
    """Print the report."""
    report("What a fleet of chat services needs", "`make capacity` prints this.", ABOUT, [check])


if __name__ == "__main__":
    main()
