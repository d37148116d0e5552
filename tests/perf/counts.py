"""Shows what exact counts and growth find and leave alone, and prints the report; `make counts` runs it.

It ends with 1 where a target is missed: the report then says which. Planted loops are those of
`tests/growth/planted.py`.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Sequence

from looprig import content, counted, growth, instructions
from looprig.counted.process import all_at_once, ask
from looprig.growth.judge import Limits
from looprig.growth.reading import Growth, ratios
from looprig.growth.sizes import stops_of
from looprig.home import Party, here
from looprig.instructions.valgrind import Window, count
from looprig.progress import Tell
from looprig.scenario import Scenario
from looprig.verdicts import Comparison, Verdict
from looprig.workload import pack
from tests.counted.job import job, planted
from tests.perf.targets import Section, Target, report, section, table

REPEATS = 200
FLAT = 100
LONG = 1000
LARGE = 10_000
COMMAND = ".venv/bin/python -m tests.perf.counts"
"""With the name of a part behind it: that part alone."""

TELL = Tell(lambda number, name: None, lambda turn, turns: None)

TWIN = planted(extra="copy", twin="on")
FLAT_LOOPS = ("reference", TWIN)


def _name(spec: str) -> str:
    """Return a loop's text form without the path of the file."""
    return spec.rpartition("/")[2]


def _conversation(messages: int, seed: int = 1) -> Scenario:
    return content.find_scenario("long_conversation").make(seed, {"messages": str(messages)})


# -- exact counts -------------------------------------------------------------------------------


def counters() -> Section:
    """Count the same again and again, under other hash seeds, and then with a copy of the history per message."""
    loops = ("reference", planted())
    packed = pack(_conversation(120))
    alarms = 0
    rows: list[list[object]] = []
    for loop in loops:
        party = Party(here(), loop)
        work = [
            functools.partial(ask, party, "looprig.counted.worker", {}, [packed], hash_seed=seed)
            for seed in range(REPEATS)
        ]
        found = list(all_at_once(work))
        for what in ("calls", "bulk_bytes"):
            other = sum(each[what] != found[0][what] for each in found)
            alarms += other
            rows.append([_name(loop), what, f"{found[0][what]:,}", f"{other} of {REPEATS}"])
    jobs = [
        job(loops[0], planted("copying"), LONG),
        job(planted(extra="slice", twin="on"), planted(extra="slice"), LONG),
    ]
    compared = counted.judge(jobs, counted.Plan(), TELL)
    seen = [each for each in compared if each.metric == "bulk_bytes_per_message"]
    targets = [
        Target(f"counts that differ in {REPEATS} fresh processes, two loops", f"{alarms}", "0", not alarms),
        *(
            Target(f"a copy of the history per message, one run, {_name(each.after.spec)}", _change(found), "regressed",
                   found.verdict is Verdict.REGRESSED)
            for each, found in zip(jobs, seen, strict=True)
        ),
    ]  # fmt: skip
    tables = [
        table(["loop", "counted", "count", "differ"], rows),
        table(["loop", "metric", "before", "after", "verdict"], [_row(each) for each in compared]),
    ]
    return Section("A copy of the history, on any machine", f"{COMMAND} counters", targets, tables)


def _change(found: Comparison) -> str:
    return f"{((found.ratio or 0) - 1) * 100:+.2f} %, {found.verdict}"


def _row(found: Comparison) -> Sequence[object]:
    return [found.scenario, found.metric, f"{found.before:,.2f}", f"{found.after:,.2f}", found.verdict]


# -- instructions -------------------------------------------------------------------------------


def one_percent() -> Section:
    """Count the instructions of equal loops, and of loops that do one percent more."""
    pairs = {
        "reference against itself": (("reference", "reference"), 401),
        "plain loop against itself": ((planted(units=100), planted(units=100)), 401),
        "101 reference loops for 100": ((planted("many"), planted("many", loops=101)), 21),
        "plain loop, 101 pieces of work for 100": ((planted(units=100), planted(units=101)), 401),
    }
    jobs = [job(*sides, messages=messages, tool_every=0) for sides, messages in pairs.values()]
    found = [
        instructions.judge([each], instructions.Plan(messages=messages), TELL)[0]
        for each, (_, messages) in zip(jobs, pairs.values(), strict=True)
    ]
    changes = [((each.ratio or 0) - 1) * 100 for each in found]
    targets = [
        Target(what, f"{change:+.4f} %, {each.verdict}", "0.0000 %", round(change, 4) == 0)
        if sides[0] == sides[1]
        else Target(what, f"{change:+.4f} %, {each.verdict}", "0.8 to 1.2 %", 0.8 <= change <= 1.2)
        for (what, (sides, _)), each, change in zip(pairs.items(), found, changes, strict=True)
    ]
    rows = [
        [what, f"{each.before:,.0f}", f"{each.after:,.0f}", each.note] for what, each in zip(pairs, found, strict=True)
    ]
    return Section(
        "One percent of instructions",
        f"{COMMAND} one_percent",
        targets,
        [table(["what", "before", "after", "note"], rows)],
    )


# -- growth -------------------------------------------------------------------------------------

GROWING: Sequence[tuple[str, tuple[str, ...]]] = (
    ("copy", ("instructions", "cpu_time")),
    ("slice", ("instructions", "cpu_time")),
    ("search", ("cpu_time",)),
    ("recount", ("cpu_time",)),
)
"""Work for each message held, with what looks at it; searching under callgrind would take many minutes."""


def growing() -> Section:
    """Look at planted work for each message held, and at its twins."""
    scenario = _conversation(LARGE)
    targets: list[Target] = []
    rows: list[list[object]] = []
    for extra, metrics in GROWING:
        for twin in (False, True):
            spec = planted(extra=extra, twin="on") if twin else planted(extra=extra)
            plan = growth.Plan(metrics=metrics)
            for found in growth.judge(Party(here(), spec), scenario, plan, TELL):
                wanted = Verdict.UNCHANGED if twin else Verdict.REGRESSED
                targets.append(Target(f"{_name(spec)}: {found.metric}", _ratio(found), wanted, found.verdict is wanted))
                rows.append([_name(spec), found.metric, *map(_cost, found.costs), found.sentence])
    sizes = [f"at {size:,.0f}" for size in found.messages]
    return Section("Work for each message held, at 10,000 messages", f"{COMMAND} growing", targets,
                   [table(["loop", "metric", *sizes, "reads"], rows)])  # fmt: skip


def _cost(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _ratio(found: Growth) -> str:
    bounds = f" ({found.interval[0]:.2f} to {found.interval[1]:.2f})" if found.interval else ""
    return f"x {found.ratio:.3f}{bounds}, {found.word}, {found.verdict}"


def flat() -> Section:
    """Look at loops that do the same for every message, a hundred times with each clock and counter."""
    measures: dict[str, Callable[[str, int], list[Verdict]]] = {
        "cpu_time": functools.partial(_judged, "cpu_time", 2048),
        "tokens": functools.partial(_judged, "tokens", 1024),
        "instructions": _counted,
    }
    targets = []
    for metric, verdicts_of in measures.items():
        found = [verdict for loop in FLAT_LOOPS for verdict in verdicts_of(loop, FLAT // len(FLAT_LOOPS))]
        passed, failed = (sum(each is word for each in found) for word in (Verdict.UNCHANGED, Verdict.REGRESSED))
        loops = " and ".join(map(_name, FLAT_LOOPS))
        targets.append(Target(f"flat loops pass, {metric}: {loops}, each with {FLAT // len(FLAT_LOOPS)} seeds",
                              f"{passed} of {len(found)}, {failed} fail", f"{FLAT} of {FLAT}",
                              passed == len(found) == FLAT))  # fmt: skip
    return Section("Flat loops", f"{COMMAND} flat", targets)


def _judged(metric: str, messages: int, loop: str, times: int) -> list[Verdict]:
    """Judge one conversation after the other: two at once would be a busy neighbour to each other."""
    plan = growth.Plan(metrics=(metric,))
    found = []
    for seed in range(times):
        (each,) = growth.judge(Party(here(), loop), _conversation(messages, seed), plan, TELL)
        found.append(each.verdict)
    return found


def _counted(loop: str, times: int) -> list[Verdict]:
    """Count instructions, of many conversations in one process, which takes long to start."""
    scenarios = [_conversation(1024, seed) for seed in range(times)]
    stops = [stops_of(scenario.turns, 64) for scenario in scenarios]
    windows = [Window(number, 1, each.turns) for number, each in enumerate(stops)]
    found = []
    for window, each in zip(
        count(Party(here(), loop), [pack(one) for one in scenarios], windows, 0), stops, strict=True
    ):
        costs = [part / span for part, span in zip(window.parts[1:], each.spans(), strict=True)]
        found.append(ratios([costs]).verdict(Limits().instructions))
    return found


PARTS = (counters, one_percent, growing, flat)


def main() -> None:
    """Print the report, or those parts of it that are named."""
    logging.getLogger().addHandler(logging.NullHandler())
    missing = instructions.missing()
    if missing is not None:  # told at once, and not after minutes
        raise SystemExit(missing)
    unknown = set(sys.argv[1:]) - {part.__name__ for part in PARTS}
    if unknown:
        raise SystemExit(f"no part {', '.join(sorted(unknown))}; there are {', '.join(p.__name__ for p in PARTS)}")
    for part in PARTS:
        if part.__name__ in sys.argv[1:]:
            print(f"\n{section(part())}", flush=True)
    if sys.argv[1:]:
        return
    report(
        "Exact counts and growth",
        "`make counts` prints this, each part by the command under its title.",
        ["Counts are exact: one of them decides. CPU time is that of conversations on one core each."],
        PARTS,
    )


if __name__ == "__main__":
    main()
