"""Claims B1 to B9: what is timed, logged, counted and kept. The seed's side is the code that its report prints."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from statistics import correlation
from typing import Any

from looprig import target
from looprig.metrics import METRICS
from looprig.phase3.bench import (
    OURS,
    PAIRS,
    UNTRIMMED,
    Bench,
    conversation,
    logged,
    lookup,
    loop_of,
    plain,
    with_pairs,
    working,
)
from looprig.phase3.claim import Claim, Detail, Figure, Measured, Who, number
from looprig.phase3.listing import Listing
from looprig.scenario import PlannedCall

SYSTEM = "3.2 Performance Monitoring System"
POINTS = ("input_validation", "context_injection", "tool_execution", "memory_management", "complete_iteration")
"""The five integration points of the report, under the names that the reference loop gives them."""

OPERATIONS = 100
"""How many operations the seed's benchmark monitors."""


class _Counting(Listing):
    """The report's code, with a count of what it times."""

    def __init__(self, pairs: int) -> None:
        super().__init__(pairs)
        self.timed: list[str] = []

    def monitor(self, operation: str, started_s: float) -> None:
        self.timed.append(operation)
        super().monitor(operation, started_s)


def _monitor() -> Any:
    return target.part("monitor", "Monitor")()


def levels(bench: Bench, who: Who) -> Measured:
    """B1: the level at which operations are logged whose lengths lie at the boundaries and right above them."""
    lengths_s = {
        "above_5": math.nextafter(5.0, 6.0),
        "at_5": 5.0,
        "above_1": math.nextafter(1.0, 2.0),
        "at_1": 1.0,
        "below_1": math.nextafter(1.0, 0.0),
    }
    names = {"above": "the next float above", "at": "exactly", "below": "the next float below"}
    figures = {}
    for key, length_s in lengths_s.items():
        where, boundary = key.split("_")
        figures[key] = Figure(f"{names[where]} {boundary} s", _level(who, length_s), "text")
    return Measured(figures)


def _level(who: Who, length_s: float) -> str:
    record = _logged_as(who, length_s)
    return "none" if record is None else record.levelname


def _logged_as(who: Who, length_s: float) -> logging.LogRecord | None:
    """Return what is logged of an operation that took *length_s*."""
    with logged() as records, _wall_clock(lambda: length_s):
        if who == "seed":
            Listing(PAIRS).monitor("x", 0.0)
        else:
            monitor, now = _monitor(), iter([0.0, length_s])
            monitor.begin(lambda: next(now))
            with monitor.span("model_call"):
                pass
    return records[-1] if records else None


@contextmanager
def _wall_clock(read: Callable[[], float]) -> Iterator[None]:
    """Let `time.time` return what *read* does."""
    real = time.time
    time.time = read
    try:
        yield
    finally:
        time.time = real


def tracked(bench: Bench, who: Who) -> Measured:
    """B2: how many of the operations that were done were also timed."""
    done, timed = _listed_operations() if who == "seed" else _our_operations(bench)
    seen = sum(min(timed.get(name, 0), times) for name, times in done.items())
    figures = {
        "done": Figure("operations done", sum(done.values())),
        "timed": Figure("of these, timed", seen),
    }
    if who == "ours":
        figures["covered"] = Figure("of a turn's time, in the parts that are timed", _covered(bench), "share")
    rows = [[name, times, timed.get(name, 0)] for name, times in done.items()]
    return Measured(figures, [Detail("operations", ["operation", "done", "timed"], rows)])


def _listed_operations() -> tuple[dict[str, float], dict[str, float]]:
    """Let the report's code run a batch of tools on a history that is due for a trim."""
    listing = _Counting(pairs=10)
    listing.history = ["x"] * 40
    with logged():
        listing.execute_all([("search", {})] * 5)
    done = {"tool_execution": 5.0, "memory_management": 1.0}
    return done, {name: float(listing.timed.count(name)) for name in done}


def _our_operations(bench: Bench) -> tuple[dict[str, float], dict[str, float]]:
    outcome = bench.watch(with_pairs(OURS, 10), bench.scenario("long_tool_chain")).outcome
    metrics = outcome.metrics
    done = {
        "model_call": metrics["requests"],
        "tool_execution": metrics["tool_runs"],
        "memory_management": metrics["trims"],
        "complete_iteration": metrics["turns"],
    }
    return done, {name: _statistic(outcome.statistics, f"{name}.count") for name in done}


def _statistic(statistics: Mapping[str, float | int | str], name: str) -> float:
    value = statistics.get(name, 0)
    return 0.0 if isinstance(value, str) else float(value)


def _covered(bench: Bench) -> float:
    """Return the time of a turn's parts by the time of the turn, over turns with slow models and slow tools."""
    statistics = bench.watch(OURS, bench.scenario("slow_model")).outcome.statistics
    tools = "tool_round" if "tool_round.total_s" in statistics else "tool_execution"
    parts = ("input_validation", "context_injection", "model_call", tools, "memory_management", "persistence")
    spent_s = sum(_statistic(statistics, f"{name}.total_s") for name in parts)
    return round(spent_s / _statistic(statistics, "complete_iteration.total_s"), 6)


def points(bench: Bench, who: Who) -> Measured:
    """B3: which of the five integration points are timed, and whether each run of a tool is."""
    if who == "seed":
        done, timed = _listed_operations()
        counts = {name: timed.get(name, 0.0) for name in POINTS}
        runs = done["tool_execution"]
    else:
        spec = with_pairs(f"{OURS},retriever=mock", 10)
        outcome = bench.watch(spec, bench.scenario("long_tool_chain")).outcome
        counts = {name: _statistic(outcome.statistics, f"{name}.count") for name in POINTS}
        runs = outcome.metrics["tool_runs"]
    return Measured(
        {
            "points": Figure("of five integration points, timed", sum(timings > 0 for timings in counts.values())),
            "per_tool": Figure("timings for each run of a tool", counts["tool_execution"] / runs, "ratio"),
        },
        [Detail("timings", ["integration point", "count"], [[name, timings] for name, timings in counts.items()])],
    )


def precise(bench: Bench, who: Who) -> Measured:
    """B4: what a wall clock that is set back does to the timing, and the shortest time that is printed."""
    negative = 0
    start_s, reads = time.time(), count()
    with logged() as records, _wall_clock(lambda: start_s - 3600.0 * next(reads)):
        for _ in range(OPERATIONS):
            if who == "seed":
                listing = Listing(PAIRS)
                listing.monitor("x", time.time())
                negative += "took -" in records[-1].getMessage()
            else:
                monitor = _monitor()
                with monitor.span("tool_execution"):
                    pass
                negative += monitor.statistics()["tool_execution.total_s"] < 0
    return Measured(
        {
            "negative": Figure(f"negative durations of {OPERATIONS}, the wall clock being set back an hour", negative),
            "printed": Figure("the shortest duration that is not printed as zero", _shortest_printed_us(who), "us"),
        }
    )


def _shortest_printed_us(who: Who) -> float:
    def printed(length_s: float) -> str:
        record = _logged_as(who, length_s)
        return "" if record is None else record.getMessage()

    zero = printed(0.0)
    return next(10.0**power for power in range(8) if printed(10.0**power / 1e6) != zero)


def accurate(bench: Bench, who: Who) -> Measured:
    """B5: whether the figure called memory utilisation follows what is kept in memory."""
    short, long = ("ok", "word " * 400)
    loops = [bench.watch(loop_of(who), conversation(*[plain(text)] * 50)).loop for text in (short, long)]
    utilisations = [loop.statistics()["memory_utilization"] for loop in loops]
    sizes = [sum(len(message.content) for message in loop.history) for loop in loops]
    side = bench.standard(loop_of(who))
    pairs = [(side.value(name, "utilisation_peak"), side.value(name, "request_tokens_peak")) for name in side.runs]
    known = [(float(a), float(b)) for a, b in pairs if a is not None and b is not None]
    rows = [[name, f"{a:.2f}", b] for name, (a, b) in zip(side.runs, known, strict=True)]
    return Measured(
        {
            "utilisation": Figure("utilisation after 50 turns of short texts", utilisations[0], "ratio"),
            "same": Figure("after 50 turns of long texts", utilisations[1], "ratio"),
            "text": Figure("text that is kept, long by short", sizes[1] / sizes[0], "ratio"),
            "rank": Figure("rank correlation with the tokens of the largest request", _ranked(known), "ratio"),
        },
        [
            Detail(
                "standard scenarios",
                ["scenario", METRICS["utilisation_peak"].text, METRICS["request_tokens_peak"].text],
                rows,
            )
        ],
    )


def _ranked(pairs: list[tuple[float, float]]) -> float:
    """Return Spearman's rank correlation, equal values sharing their mean rank; 0 where all are equal."""

    def ranks(values: list[float]) -> list[float]:
        ordered = sorted(values)
        return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]

    first, second = ranks([a for a, _ in pairs]), ranks([b for _, b in pairs])
    if len(set(first)) < 2 or len(set(second)) < 2:
        return 0.0
    return round(correlation(first, second), 4)


def alerts(bench: Bench, who: Who) -> Measured:
    """B6: warnings while a history grows that no trim holds, and nothing else happens that deserves one."""
    with logged() as records:
        if who == "seed":
            listing = Listing(pairs=10)
            highest = 0.0
            for _ in range(60):
                listing.history.append("x")
                highest = max(highest, listing.statistics()["memory_utilization"])
        else:
            watched = bench.watch(with_pairs(UNTRIMMED, 10), conversation(*[plain()] * 30))
            highest = watched.outcome.metrics["utilisation_peak"]
    warnings = sum(record.levelno >= logging.WARNING for record in records)
    return Measured(
        {
            "highest": Figure("the highest utilisation", highest, "ratio"),
            "alerts": Figure("alerts about it", warnings),
        }
    )


def kept(bench: Bench, who: Who) -> Measured:
    """B7: what is left of a hundred operations, ten of them failed, when they are over."""
    failing = OPERATIONS // 10
    if who == "seed":
        listing = Listing(PAIRS)
        before = set(listing.statistics())
        with logged():
            for _ in range(OPERATIONS):
                listing.monitor("tool_execution", time.time())
        counted = failed = len(set(listing.statistics()) - before)
    else:
        monitor = _monitor()
        for operation in range(OPERATIONS):
            monitor.record("tool_execution", 0.001, failed=operation < failing)
        statistics = monitor.statistics()
        counted, failed = (int(statistics[f"tool_execution.{name}"]) for name in ("count", "failures"))
    return Measured(
        {
            "counted": Figure(f"of {OPERATIONS} operations, still known afterwards", counted),
            "failed": Figure(f"of {failing} failures", failed),
        }
    )


def traces(bench: Bench, who: Who) -> Measured:
    """B8: whether a tool that fails is logged at ERROR with its traceback."""
    with logged() as records:
        if who == "seed":
            failures = 1
            Listing(PAIRS, handle=lambda name, arguments: {"success": False, "error": "no"}).execute(("search", {}))
        else:
            failures = 2
            calls = [PlannedCall(name="search", outcome="raise"), PlannedCall(name="search", outcome="hang")]
            bench.watch(OURS, conversation(working(1, lookup(), *calls)))
    errors = [record for record in records if record.levelno >= logging.ERROR]
    return Measured(
        {
            "failures": Figure("tools that failed", failures),
            "errors": Figure("logged at ERROR", len(errors)),
            "traced": Figure("with traceback", sum(record.exc_info is not None for record in errors)),
        }
    )


def cost(bench: Bench, who: Who) -> Measured:
    """B9: what monitoring an operation costs, with the loop around it taken off."""
    repeats = 20 * OPERATIONS
    spent = bench.cpu_ns(repeats, monitored=_monitoring(who, repeats), nothing=_nothing(repeats))
    each_ns = spent["monitored"] - spent["nothing"]
    with logged() as records:
        logging.getLogger().setLevel(logging.WARNING)  # as it is where nobody set a level, and as the seed measured
        _monitoring(who, OPERATIONS)()
    return Measured(
        {
            "each": Figure("CPU time of monitoring an operation", each_ns, "ns", noisy=True),
            "all": Figure(f"of {OPERATIONS} operations", each_ns * OPERATIONS / 1000, "us", noisy=True),
            "emitted": Figure("log records that they leave", len(records)),
        }
    )


def _nothing(repeats: int) -> Callable[[], None]:
    def work() -> None:
        for _ in range(repeats):
            pass

    return work


def _monitoring(who: Who, repeats: int) -> Callable[[], None]:
    """Return work that monitors *repeats* operations which do nothing."""
    if who == "seed":
        listing = Listing(PAIRS)

        def listed() -> None:
            for _ in range(repeats):
                started_s = time.time()
                listing.monitor("operation", started_s)

        return listed
    monitor = _monitor()

    def spans() -> None:
        for _ in range(repeats):
            with monitor.span("model_call"):
                pass

    return spans


CLAIMS = (
    Claim(
        id="B1",
        words="WARNING for slow (>5s), INFO for moderate (1-5s), DEBUG for fast (<1s)",
        where=SYSTEM,
        rule="right above 5 s WARNING, at 5 s and right above 1 s INFO, right below 1 s DEBUG",
        measure=levels,
        holds=lambda v: [v["above_5"], v["at_5"], v["above_1"], v["below_1"]] == ["WARNING", "INFO", "INFO", "DEBUG"],
    ),
    Claim(
        id="B2",
        words="Operation-level timing for all major operations; complete visibility into all operations",
        where=SYSTEM,
        rule="every tool run, trim, model call and turn is timed, and what is timed makes up 99 % of a turn",
        measure=tracked,
        holds=lambda v: v["timed"] == v["done"] and number(v.get("covered", 1.0)) >= 0.99,
    ),
    Claim(
        id="B3",
        words="Monitoring Integration Points: input validation, context injection, tool execution (timed for each tool "
        "operation), memory management, complete iterations",
        where="Performance Monitoring Architecture",
        rule="all five are timed, and each run of a tool is",
        measure=points,
        holds=lambda v: v["points"] == len(POINTS) and v["per_tool"] == 1,
    ),
    Claim(
        id="B4",
        words="Tool execution timing precise",
        where="Performance Monitoring Benchmarks",
        rule="no duration is negative, and a millisecond is not printed as zero",
        measure=precise,
        holds=lambda v: v["negative"] == 0 and number(v["printed"]) <= 1000,
    ),
    Claim(
        id="B5",
        words="Memory statistics accurate",
        where="Performance Monitoring Benchmarks",
        rule="at the same utilisation the kept texts differ by at most 10 %",
        measure=accurate,
        holds=lambda v: v["utilisation"] != v["same"] or number(v["text"]) <= 1.1,
    ),
    Claim(
        id="B6",
        words="Memory utilization monitoring with automatic alerts",
        where="Performance Monitoring Effectiveness",
        rule="a history that no trim holds below its trigger sets off one alert, and no more",
        measure=alerts,
        holds=lambda v: v["alerts"] == 1,
    ),
    Claim(
        id="B7",
        words="Success/failure metrics; comprehensive performance metrics already collected, ready for ML training",
        where="Single Tool Optimization, Phase 4 Ready Features",
        rule="every operation and every failure is still known when it is over",
        measure=kept,
        holds=lambda v: v["counted"] == OPERATIONS and v["failed"] == OPERATIONS // 10,
    ),
    Claim(
        id="B8",
        words="Error Context: ERROR level with full stack traces",
        where="Logging Strategy",
        rule="every tool that fails is logged at ERROR with its traceback",
        measure=traces,
        holds=lambda v: v["errors"] == v["traced"] == v["failures"],
    ),
    Claim(
        id="B9",
        words="100 operations tracked in <0.001s",
        where="Performance Monitoring Benchmarks",
        rule="monitoring 100 operations takes less than 1 ms of CPU time",
        measure=cost,
        holds=lambda v: number(v["all"]) < 1000,
    ),
)
