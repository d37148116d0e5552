"""Claims D1 to D6: the figures that the report prints, and its tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from looprig import target
from looprig.compare import Compared
from looprig.messages import Message
from looprig.phase3 import memory, monitoring, tools
from looprig.phase3.bench import BEFORE, OURS, PAIRS, SEED_RULE, Bench
from looprig.phase3.claim import Claim, Detail, Figure, Measured, Who, judge, number
from looprig.suite import Settings
from looprig.verdicts import Verdict

BENCHMARK = "Benchmark Results"
TESTING = "Comprehensive Test Coverage"

MESSAGES = 1000
CADENCE = 100
"""Appends between two looks at the trigger that reproduce the seed's figures."""

BENCHMARKED: dict[Who, tuple[str, int]] = {"seed": ("incremental", CADENCE), "ours": ("grouped", 1)}
"""The policy and the cadence of the thousand appends."""


def speed(bench: Bench, who: Who) -> Measured:
    """D1: CPU time of the history for a thousand appends."""
    policy, check_every = BENCHMARKED[who]
    total_ns = bench.cpu_ns(1, appends=_appends(policy, check_every))["appends"]
    return Measured(
        {
            "total": Figure(f"CPU time for {MESSAGES:,} messages", total_ns / 1000, "us", noisy=True),
            "each": Figure("for each", total_ns / MESSAGES, "ns", noisy=True),
        }
    )


def _appends(policy: str, check_every: int) -> Callable[[], None]:
    history_of, policies = target.part("history", "History"), target.part("policies", "POLICIES")
    messages = [Message(role="user" if n % 2 == 0 else "assistant", content=str(n)) for n in range(MESSAGES)]

    def work() -> None:
        history = history_of(policies[policy](PAIRS, None, None), check_every=check_every)
        for message in messages:
            history.append(message)

    return work


def benchmark(bench: Bench, who: Who) -> Measured:
    """D2: length and utilisation after a thousand messages, and what the cadence of the checks has to do with it."""
    spec = f"{SEED_RULE},check_every={CADENCE}" if who == "seed" else OURS
    final, utilisation = _ends_as(bench, spec)
    figures = {
        "final": Figure("final conversation length", final),
        "utilisation": Figure("memory utilisation", utilisation, "ratio"),
    }
    rows = []
    if who == "seed":
        figures["trigger"] = Figure("utilisation at the trigger", memory.trigger_of(PAIRS) / (2 * PAIRS + 5), "ratio")
        cadences = (1, 10, 50, CADENCE, 150, 180, 200)
        ends = {each: _ends_as(bench, f"{SEED_RULE},check_every={each}") for each in cadences}
        rows = [[str(each), length, Figure("", ratio, "ratio")] for each, (length, ratio) in ends.items()]
        figures["every"] = Figure("length where every append is looked at", ends[1][0])
    return Measured(
        figures, [Detail("the same rule", ["looked at every", "length", "utilisation"], rows)] if rows else ()
    )


def _ends_as(bench: Bench, spec: str) -> tuple[float, float]:
    metrics = bench.watch(spec, bench.scenario("seed_1000_messages", messages=str(MESSAGES))).outcome.metrics
    return metrics["history_messages_final"], metrics["utilisation_final"]


def baseline(bench: Bench, who: Who) -> Measured:
    """D3: utilisation after a thousand messages against the baseline's."""
    spec = f"{SEED_RULE},check_every={CADENCE}" if who == "seed" else OURS
    return Measured(
        {
            "before": Figure("utilisation before", _ends_as(bench, BEFORE)[1], "ratio"),
            "after": Figure("utilisation after", _ends_as(bench, spec)[1], "ratio"),
        }
    )


def regressions(bench: Bench, who: Who) -> Measured:
    """D4: exact metrics that got worse over the standard scenarios, and invariants that are broken more often."""
    before, seed, ours = bench.compared()
    after = seed if who == "seed" else ours
    settings = Settings(parameters=bench.sizes.settings)
    found = Compared(before, after, settings, bench.sizes.standard_rounds).comparisons()
    worse = [each for each in found if each.verdict is Verdict.REGRESSED]
    rows = [[each.scenario, each.metric, each.before or 0.0, each.after or 0.0] for each in worse]
    return Measured(
        {
            "worse": Figure("exact metrics that got worse, over all standard scenarios", len(worse)),
            "better": Figure("that got better", sum(each.verdict is Verdict.IMPROVED for each in found)),
            "broken": Figure("invariants broken, against before", after.broken() - before.broken(), "difference"),
        },
        [Detail("got worse", ["scenario", "metric", "before", "after"], rows)],
    )


def _of(name: str) -> Claim:
    return next(each for each in (*memory.CLAIMS, *monitoring.CLAIMS, *tools.CLAIMS) if each.id == name)


UNIT_TESTS: dict[str, Sequence[Claim]] = {
    "test_incremental_memory_management": (_of("A1"), _of("A2")),
    "test_memory_efficiency_improvements": (_of("C2"),),
    "test_performance_monitoring": (_of("B1"), _of("B9")),
    "test_performance_stats": (_of("B7"),),
    "test_optimized_tool_execution": (_of("B3"), _of("C4")),
    "test_parallel_tools_placeholder": (_of("C3"),),
}
"""The six tests that the report names, each with the claims here that ask what its name says."""

INTEGRATION: dict[str, Sequence[Claim]] = {
    "Phase 3 Performance Optimizations: VERIFIED": memory.CLAIMS,
    "Memory Management: WORKING": (_of("A4"), _of("A7")),
    "Performance Monitoring: ACTIVE": (_of("B2"), _of("B3")),
    "Tool Execution: OPTIMIZED": (_of("C2"), _of("C3")),
}
"""The four integration checks of the report, likewise."""


def _checked(named: dict[str, Sequence[Claim]]) -> Callable[[Bench, Who], Measured]:
    def measure(bench: Bench, who: Who) -> Measured:
        rows: list[list[object]] = []
        for name, claims in named.items():
            holds = all(judge(claim, bench).ours_holds for claim in claims)
            rows.append([name, ", ".join(claim.id for claim in claims), "yes" if holds else "no"])
        return Measured(
            {
                "named": Figure("checks that are named", len(rows)),
                "hold": Figure("what the names say, asked here, holds", sum(row[2] == "yes" for row in rows)),
            },
            [Detail("what the names say", ["name", "asked by", "holds for ours"], rows)],
        )

    return measure


CLAIMS = (
    Claim(
        id="D1",
        words="1000 messages processed in <0.001s",
        where="Memory Management Benchmarks",
        rule="a thousand appends at the benchmark's cadence take less than 1 ms of CPU time",
        measure=speed,
        holds=lambda v: number(v["total"]) < 1000,
    ),
    Claim(
        id="D2",
        words="Final conversation length: 340 messages; Memory utilization: 1.66",
        where=BENCHMARK,
        rule="the seed's rule, looked at every 100th append, ends with these figures",
        measure=benchmark,
        holds=lambda v: v["final"] == 340 and v["utilisation"] == 1.66,
        shows=(f"looprig run seed_1000_messages --loop {SEED_RULE},check_every={CADENCE}",),
        judges_ours=False,
    ),
    Claim(
        id="D3",
        words="Memory utilization optimized to 1.66x baseline",
        where="Memory Management Benchmarks",
        rule="the utilisation is lower than before",
        measure=baseline,
        holds=lambda v: number(v["after"]) < number(v["before"]),
    ),
    Claim(
        id="D4",
        words="Zero Regressions: 668/668 tests passing; clean linting report",
        where="Secondary Objectives",
        rule="no exact metric got worse, and no invariant is broken more often than before; the 668 tests and the lint "
        "report cannot be looked at, since no commit and no command is named",
        measure=regressions,
        holds=lambda v: v["worse"] == 0 and number(v["broken"]) <= 0,
        shows=("looprig compare reference,policy=end-of-turn reference,policy=seed",),
    ),
    Claim(
        id="D5",
        words="Unit Tests: ALL PASSING (six names)",
        where=TESTING,
        rule="for each of the six names, the claims here that ask what it says hold",
        measure=_checked(UNIT_TESTS),
        holds=lambda v: v["hold"] == v["named"],
        on=("ours",),
        reason="the report gives names and check marks, and no test, command or output",
    ),
    Claim(
        id="D6",
        words="Integration Tests: ALL PASSING (VERIFIED, WORKING, ACTIVE, OPTIMIZED)",
        where=TESTING,
        rule="for each of the four lines, the claims here that ask what it says hold",
        measure=_checked(INTEGRATION),
        holds=lambda v: v["hold"] == v["named"],
        on=("ours",),
        reason="the report gives four words, and no procedure that could come to another one",
    ),
)
