"""Claims D7 to D9: the report's tables of success criteria, of phases, and of before and after, in its own words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from looprig.phase3 import figures, memory, monitoring, tools
from looprig.phase3.bench import Bench
from looprig.phase3.claim import Claim, Detail, Figure, Measured, Verdict, Who, judge

_MEASURED: Mapping[str, Claim] = {
    claim.id: claim for claim in (*memory.CLAIMS, *monitoring.CLAIMS, *tools.CLAIMS, *figures.CLAIMS)
}


class Row(NamedTuple):
    """One row of a before/after table, in the report's words."""

    aspect: str
    before: str
    after: str
    improvement: str


class Objective(NamedTuple):
    """One objective, "COMPLETE" in the report: its evidence there, and the claims here that it stands or falls with.

    Where it has none, ``reason`` says why it is not measurable.
    """

    name: str
    evidence: str
    claims: Sequence[str] = ()
    reason: str = ""


class Phase(NamedTuple):
    """One row of the table of phases."""

    name: str
    status: str
    completion: str
    claims: Sequence[str] = ()
    reason: str = ""


TABLES: Mapping[str, Sequence[Row]] = {
    "Memory Management": (
        Row("Memory Trimming", "End-of-iteration only", "Real-time incremental", "Real-time optimization"),
        Row("Memory Bloat Risk", "High during long chains", "Low with incremental cleanup", "75% reduction"),
        Row("Memory Efficiency", "Fixed thresholds", "Adaptive thresholds", "Intelligent management"),
        Row("Performance Impact", "End-of-iteration overhead", "Distributed overhead", "Better responsiveness"),
    ),
    "Performance Monitoring": (
        Row("Operation Tracking", "Limited", "Comprehensive", "Complete visibility"),
        Row("Performance Alerts", "None", "Adaptive thresholds", "Proactive monitoring"),
        Row("Memory Statistics", "None", "Real-time metrics", "Operational insight"),
        Row("Debugging Support", "Basic logging", "Detailed performance data", "Enhanced debugging"),
    ),
    "Tool Execution": (
        Row("Memory Management", "None during execution", "Incremental cleanup", "Memory efficient"),
        Row("Performance Tracking", "Basic", "Per-operation timing", "Detailed metrics"),
        Row("Error Context", "Limited", "Enhanced with performance data", "Better debugging"),
        Row("Parallel Foundation", "None", "Framework ready", "Future scalability"),
    ),
}

PRIMARY = (
    Objective("Incremental Memory Management", "Performance benchmarks show 0.000s overhead", ("A1", "A2", "A4", "A8")),
    Objective("Performance Monitoring", "All operations monitored with appropriate levels", ("B1", "B2", "B3")),
    Objective("Tool Execution Optimization", "Enhanced single tool execution with cleanup", ("C2", "C4", "B3")),
    Objective("Parallel Execution Framework", "Placeholder with dependency analysis ready", ("C3",)),
)

SECONDARY = (
    Objective("Zero Regressions", "668/668 tests passing", ("D4",)),
    Objective("Production Ready", "Clean linting report", ("A7", "C4")),
    Objective("Documentation", "This report and code documentation", (), "the code is not there, so its words are not"),
    Objective("Testing", "All performance tests passing", ("D5", "D6")),
)

PHASES = (
    Phase("Phase 1: Critical Safety", "COMPLETED", "100%", (), "the report says nothing of what it did"),
    Phase("Phase 2: Function Decomposition", "COMPLETED", "100%", (), "the report says nothing of what it did"),
    Phase("Phase 3: Performance Optimization", "COMPLETED", "100%", tuple(_MEASURED)),
    Phase("Phase 4: Testing & Documentation", "READY", "0%", (), "a plan: see the promises P4 and P5"),
)


class Standing(NamedTuple):
    """How an objective or a phase stands: how many of its claims hold, of how many that can be measured; then ours.

    ``noisy`` says that a count rests on noisy figures, ``noisy_verdict`` that the verdict does.
    """

    confirmed: int
    measurable: int
    verdict: Verdict
    ours: int
    ours_of: int
    noisy: bool
    noisy_verdict: bool


def standing(bench: Bench, row: Objective | Phase) -> Standing:
    """Judge the claims that *row* stands or falls with: one that is refuted refutes it."""
    judged = [judge(_MEASURED[name], bench) for name in row.claims]
    measurable = [each for each in judged if each.verdict is not Verdict.NOT_MEASURABLE]
    refuted = [each for each in measurable if each.verdict is Verdict.REFUTED]
    ours = [each.ours_holds for each in judged if each.ours_holds is not None]
    noisy = any(each.is_noisy() for each in judged)
    verdict = Verdict.REFUTED if refuted else Verdict.CONFIRMED if measurable else Verdict.NOT_MEASURABLE
    return Standing(
        confirmed=len(measurable) - len(refuted),
        measurable=len(measurable),
        verdict=verdict,
        ours=ours.count(True),
        ours_of=len(ours),
        noisy=noisy,
        noisy_verdict=noisy and all(each.is_noisy() for each in refuted),
    )


def criteria(bench: Bench, who: Who) -> Measured:
    """D7: how many of the eight objectives hold."""
    stands = {each.name: standing(bench, each) for each in (*PRIMARY, *SECONDARY)}
    met = {
        name: each.verdict is Verdict.CONFIRMED if who == "seed" else 0 < each.ours_of == each.ours
        for name, each in stands.items()
    }
    noisy = any(each.noisy_verdict if who == "seed" else each.noisy for each in stands.values())
    rows = [[name, f"{each.confirmed} of {each.measurable}", each.verdict] for name, each in stands.items()]
    return Measured(
        {
            "objectives": Figure("objectives", len(stands)),
            "met": Figure("of these, met", sum(met.values()), noisy=noisy),
        },
        [Detail("objectives", ["objective", "claims confirmed", "verdict"], rows)],
    )


def completion(bench: Bench, who: Who) -> Measured:
    """D8: what share of phase 3's measurable claims holds, and how many fail by exact figures."""
    judged = [judge(claim, bench) for claim in _MEASURED.values()]
    if who == "seed":
        held = {each: each.verdict is Verdict.CONFIRMED for each in judged if not each.claim.reason}
    else:
        held = {each: bool(each.ours_holds) for each in judged if each.ours_holds is not None}
    failing = [each for each, holds in held.items() if not holds]
    return Measured(
        {
            "failing": Figure("claims of phase 3 that fail by exact figures", sum(not e.is_noisy() for e in failing)),
            "of": Figure("claims that can be measured", len(held)),
            "share": Figure("of these, hold", 1 - len(failing) / len(held), "share", noisy=True),
        },
        [Detail("claims that fail", ["claim", "words"], [[each.claim.id, each.claim.words] for each in failing])],
    )


def numbers(bench: Bench, who: Who) -> Measured:
    """D9: how many rows of the before/after tables hold a number."""
    rows = [row for table in TABLES.values() for row in table]
    numbered = [row for row in rows if re.search(r"\d", " ".join(row))]
    return Measured(
        {
            "rows": Figure("rows of the three tables", len(rows)),
            "numbered": Figure("of these, with a number", len(numbered)),
        },
        [Detail("rows with a number", ["aspect", "before", "after", "improvement"], [list(row) for row in numbered])],
    )


CLAIMS = (
    Claim(
        id="D7",
        words="Phase 3 Success Criteria: ALL MET",
        where="Phase 3 Success Criteria",
        rule="every objective is met; one is met if all of its claims that can be measured hold",
        measure=criteria,
        holds=lambda v: v["met"] == v["objectives"],
    ),
    Claim(
        id="D8",
        words="Phase 3: Performance Optimization, COMPLETED, 100%",
        where="Current Progress Summary",
        rule="all claims of phase 3 that can be measured hold",
        measure=completion,
        holds=lambda v: v["failing"] == 0 and v["share"] == 1,
    ),
    Claim(
        id="D9",
        words="Before vs After: Performance Comparison (three tables)",
        where="Before vs After: Performance Comparison",
        rule="every row compares two numbers; those that were measured here stand in the tables above",
        measure=numbers,
        holds=lambda v: v["numbered"] == v["rows"],
        on=("seed",),
    ),
)
