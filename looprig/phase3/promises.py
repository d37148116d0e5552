"""Promises P1 to P5: what the report says that later phases will bring, measured on the reference loop of today."""

from __future__ import annotations

from looprig import content
from looprig.compare import Compared
from looprig.invariants import RULES, providers
from looprig.phase3.bench import BEFORE, OURS, Bench, conversation, lookup, with_pairs, working
from looprig.phase3.claim import Claim, Detail, Figure, Measured, Who, number
from looprig.scenario import Turn, user_text
from looprig.suite import Settings
from looprig.verdicts import Verdict

FUTURE = "Future Enhancement Opportunities"

DURATIONS_S = (0.5, 1.0, 0.5, 0.5, 1.0)
"""Five independent calls, similar but not equal."""

MODEL_S = 2.0
"""What the model takes for each of its replies, in the turn that is measured from end to end."""


def parallel(bench: Bench, who: Who) -> Measured:
    """P1: speed-up of independent tools, beside what is possible and what is left of it over a whole turn."""
    calls = [lookup(seconds) for seconds in DURATIONS_S]

    def thinking(number_: int) -> Turn:
        rounds = working(1, *calls)(number_).rounds
        return Turn(
            say=user_text(0, number_, "go"),
            answer="done",
            rounds=tuple(type(each)(calls=each.calls, delay_s=MODEL_S) for each in rounds),
            delay_s=MODEL_S,
        )

    tools_only = bench.watch(OURS, conversation(working(1, *calls))).outcome.metrics
    turns = [bench.watch(spec, conversation(thinking)).outcome.metrics["turn_time_s_p50"] for spec in (BEFORE, OURS)]
    mixed = {spec: bench.watch(spec, bench.scenario("parallel_tools")).outcome.metrics for spec in (BEFORE, OURS)}
    return Measured(
        {
            "speedup": Figure(f"speed-up of {len(calls)} independent calls", tools_only["parallel_speedup"], "ratio"),
            "possible": Figure("the most that is possible", tools_only["parallel_speedup_possible"], "ratio"),
            "turn": Figure(f"of the whole turn, with two model calls of {MODEL_S:g} s", turns[0] / turns[1], "ratio"),
            "mixed": Figure("of rounds with conflicts (parallel_tools)", mixed[OURS]["parallel_speedup"], "ratio"),
            "bound": Figure("the most that conflicts allow", mixed[OURS]["parallel_speedup_possible"], "ratio"),
            "end": Figure(
                "median turn of these, before by ours",
                mixed[BEFORE]["turn_time_s_p50"] / mixed[OURS]["turn_time_s_p50"],
                "ratio",
            ),
        }
    )


def testing(bench: Bench, who: Who) -> Measured:
    """P4: what tests ask, and whether a regression is found that was put in on purpose."""
    usual, small, never = (bench.standard(spec) for spec in (OURS, with_pairs(OURS, 10), "reference,policy=never"))
    settings = Settings(parameters=bench.sizes.settings)
    worse = [each for each in Compared(usual, never, settings, 1).comparisons() if each.verdict is Verdict.REGRESSED]
    own = [code for code, rule in RULES.items() if rule not in providers.RULES]  # those need a provider's name
    asked = [code for code in own if usual.judged(code) + small.judged(code)]
    rows = [[each.scenario, each.metric, each.before or 0.0, each.after or 0.0] for each in worse]
    return Measured(
        {
            "invariants": Figure("invariants, those of single providers apart", len(own)),
            "asked": Figure("of these, asked of the reference loop here", len(asked)),
            "scenarios": Figure("standard scenarios", len(usual.runs)),
            "worse": Figure("exact metrics by which a loop that never trims is found out", len(worse)),
        },
        [Detail("a planted regression: never trimming", ["scenario", "metric", "before", "after"], rows)],
    )


def load(bench: Bench, who: Who) -> Measured:
    """P5: whether there are load tests at all."""
    files = sorted(path.name for path in content.standard("loadtests").glob("[!_]*.py"))
    return Measured(
        {"files": Figure("load tests that come with looprig", len(files))},
        [Detail("load tests", ["file"], [[name] for name in files])],
    )


CLAIMS = (
    Claim(
        id="P1",
        words="asyncio-based parallel execution: 2-3x performance improvement for independent tools",
        where=FUTURE,
        rule="five similar, independent calls are at least twice as fast as one after the other",
        measure=parallel,
        holds=lambda v: number(v["speedup"]) >= 2,
        on=("ours",),
        shows=("looprig run parallel_tools --loop reference",),
    ),
    Claim(
        id="P2",
        words="Machine learning-based memory prediction: optimal memory usage for different conversation patterns",
        where=FUTURE,
        on=(),
        reason="the report names no quantity, no horizon and no error that would be optimal; how well the length of a "
        "history can be predicted when a turn starts, by simple rules and by a learner, is in reports/prediction.md",
        shows=("looprig predict",),
    ),
    Claim(
        id="P3",
        words="Historical performance analysis and trending: predictive performance optimization",
        where=FUTURE,
        on=(),
        reason="one run is looked at here, and a trend needs the figures of many",
    ),
    Claim(
        id="P4",
        words="Phase 4: enhanced unit testing, performance regression testing, benchmarking automation",
        where="Ready for Phase 4: Testing & Documentation",
        rule="nine of ten invariants are asked, and a planted regression is found in at least one exact metric",
        measure=testing,
        holds=lambda v: number(v["asked"]) >= 0.9 * number(v["invariants"]) and number(v["worse"]) > 0,
        on=("ours",),
        shows=("looprig compare reference reference,policy=never",),
    ),
    Claim(
        id="P5",
        words="Phase 4: load testing for enterprise scenarios",
        where="Ready for Phase 4: Testing & Documentation",
        rule="there is at least one load test; how it comes out is for its own report",
        measure=load,
        holds=lambda v: number(v["files"]) > 0,
        on=("ours",),
        reason="a load test takes real time and a machine of its own, and the report says no number of users",
    ),
)
