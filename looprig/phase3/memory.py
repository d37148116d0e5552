"""Claims A1 to A10: the algorithm of incremental memory management, its thresholds, and what it is good for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from looprig import target
from looprig.messages import Message
from looprig.phase3.bench import (
    BEFORE,
    PAIRS,
    ROUNDS_MAX,
    Bench,
    Watched,
    conversation,
    lookup,
    loop_of,
    plain,
    rule_of,
    with_pairs,
    working,
)
from looprig.phase3.claim import Claim, Detail, Figure, Measured, Who, number
from looprig.phase3.listing import Listing
from looprig.scenario import Scenario

ALGORITHM = "3.1 Incremental Memory Management"
COMPARISON = "Before vs After, Memory Management"

CALLS = (2, 3, 4)
"""Calls of each round in a busy turn; they differ from turn to turn, so that no length comes round again and again."""

BUSY = f"turns of {ROUNDS_MAX} rounds of {min(CALLS)} to {max(CALLS)} calls"

PEAKS = ("history_messages_peak", "request_tokens_peak", "retained_bytes")

SMALL = 10
"""Messages of a small conversation."""


def trigger_of(pairs: int) -> int:
    """Return the longest history that the report's rule leaves alone."""
    return int((pairs * 2 + 5) * 1.5)


def busy(turns: int) -> Scenario:
    """Return turns that use up the seed's cap of rounds, with a few calls in each."""
    return conversation(*(working(ROUNDS_MAX, *[lookup()] * CALLS[n % len(CALLS)]) for n in range(turns)))


def _first_trims(bench: Bench, who: Who) -> dict[int, tuple[int, int]]:
    found = {}
    for pairs in bench.sizes.pairs:
        turns = [plain()] * (trigger_of(pairs) // 2 + 2)
        found[pairs] = bench.watch(with_pairs(rule_of(who), pairs), conversation(*turns)).trims[0]
    return found


def trigger(bench: Bench, who: Who) -> Measured:
    """A1: the length at which the first trim comes, for each number of pairs."""
    firsts = {pairs: before for pairs, (before, _) in _first_trims(bench, who).items()}
    wrong = sum(first != trigger_of(pairs) + 1 for pairs, first in firsts.items())
    rows = [[str(pairs), f"{(pairs * 2 + 5) * 1.5:.1f}", first] for pairs, first in firsts.items()]
    return Measured(
        {
            "wrong": Figure(f"of {len(firsts)} values of max_history_pairs, with another trigger", wrong),
            "first": Figure(f"length at the first trim, {PAIRS} pairs", firsts[PAIRS]),
        },
        [Detail("the first trim", ["pairs", "claimed: above", "trimmed at"], rows)],
    )


def left(bench: Bench, who: Who) -> Measured:
    """A2: the length that the first trim leaves, for each number of pairs."""
    lengths = {pairs: after for pairs, (_, after) in _first_trims(bench, who).items() if pairs}
    short = {pairs: 1 + 2 * int(pairs * 1.2) - length for pairs, length in lengths.items()}
    rows = [[str(pairs), 1 + 2 * int(pairs * 1.2), length] for pairs, length in lengths.items()]
    truncated = [pairs for pairs in lengths if int(pairs * 1.2) == pairs]
    return Measured(
        {
            "more": Figure("trims that left more than 1 + 2·int(1.2·pairs)", sum(each < 0 for each in short.values())),
            "short": Figure("messages short of it, at most", max(short.values())),
            "left": Figure(f"length left, {PAIRS} pairs", lengths[PAIRS]),
            "truncated": Figure("values of max_history_pairs at which 120 % is 100 %", len(truncated)),
        },
        [Detail("left by the first trim", ["pairs", "claimed", "left"], rows)],
    )


def systems(bench: Bench, who: Who) -> Measured:
    """A3: how many system messages outlive the trims, of several given."""
    kept, rows = {}, []
    for given in (0, 1, 3, 5):
        texts = tuple(f"Rule {rule}." for rule in range(given))
        scenario = conversation(plain(system=texts), *[plain()] * 40)
        history = bench.watch(with_pairs(loop_of(who), 10), scenario).loop.history
        kept[given] = sum(message.role == "system" for message in history)
        rows.append([str(given), kept[given], f"{history[0].role}: {history[0].content}"])
    return Measured(
        {
            "lost": Figure("system messages lost, of 0, 1, 3 and 5 given", sum(kept) - sum(kept.values())),
            "kept": Figure("kept of 5", kept[5]),
        },
        [Detail("system messages after 41 turns at 10 pairs", ["given", "kept", "stands first"], rows)],
    )


def in_turn(bench: Bench, who: Who) -> Measured:
    """A4: whether trims come while tools are at work, and how many calls it takes until one does."""
    runs = {pairs: _trims_in_turn(bench, who, pairs) for pairs in (10, PAIRS)}
    needed = {pairs: _calls_needed(bench, who, pairs) for pairs in bench.sizes.reach}
    rows = [[str(pairs), trigger_of(pairs), calls] for pairs, calls in needed.items()]
    most = max(needed)
    return Measured(
        {
            "in_turn": Figure(f"trims inside a turn, {PAIRS} pairs, {bench.sizes.turns} {BUSY}", runs[PAIRS]),
            "small": Figure("the same at 10 pairs", runs[10]),
            "calls": Figure(f"calls that each of {ROUNDS_MAX} rounds needs to set one off, {most} pairs", needed[most]),
        },
        [
            Detail(
                f"reach: one turn of {ROUNDS_MAX} rounds after pairs + 1 plain ones",
                ["pairs", "trigger", "calls"],
                rows,
            )
        ],
    )


def _trims_in_turn(bench: Bench, who: Who, pairs: int) -> float:
    return bench.watch(with_pairs(loop_of(who), pairs), busy(bench.sizes.turns)).outcome.metrics.get("trims_in_turn", 0)


def _calls_needed(bench: Bench, who: Who, pairs: int) -> int:
    """Return the fewest calls in each round with which a turn is trimmed before its answer."""
    low, high = 1, trigger_of(pairs)
    while low < high:
        calls = (low + high) // 2
        turns = conversation(*[plain()] * (pairs + 1), working(ROUNDS_MAX, *[lookup()] * calls))
        found = bench.watch(with_pairs(loop_of(who), pairs), turns)
        low, high = (low, calls) if found.outcome.metrics.get("trims_in_turn") else (calls + 1, high)
    return low


def bloat(bench: Bench, who: Who) -> Measured:
    """A5: how much shorter the longest history is than before, in paired runs."""
    chains = [bench.scenario("long_tool_chain", seed) for seed in range(1, bench.sizes.seeds + 1)]
    kinds = (
        (f"{BUSY}, {PAIRS} pairs", PAIRS, [busy(bench.sizes.turns)]),
        (f"long_tool_chain, {PAIRS} pairs", PAIRS, chains),
        ("long_tool_chain, 10 pairs", 10, chains),
    )
    rows, figures = [], {}
    for name, pairs, scenarios in kinds:
        before, after = (
            [bench.watch(with_pairs(spec, pairs), each) for each in scenarios] for spec in (BEFORE, loop_of(who))
        )
        cuts, tokens, kept = (_cuts(before, after, metric) for metric in PEAKS)
        figures[name] = Figure(f"shorter at its longest: {name}", median(cuts), "share")
        rows.append([name, _interval(cuts), _interval(tokens), Figure("", median(kept), "share", noisy=True)])
    figures["least"] = Figure("the least of these", min(number(each.value) for each in figures.values()), "share")
    if who == "seed":
        alone = 1 - _first_trims(bench, who)[PAIRS][1] / 1000
        figures["alone"] = Figure("what the first trim leaves against 1,000 messages never trimmed", alone, "share")
    headers = ["conversation", "messages at the peak", "tokens at the peak", "bytes kept at the end"]
    return Measured(figures, [Detail(f"less than before, least to most of {len(chains)} seeds", headers, rows)])


def _cuts(before: Sequence[Watched], after: Sequence[Watched], metric: str) -> list[float]:
    return [1 - b.outcome.metrics[metric] / a.outcome.metrics[metric] for a, b in zip(before, after, strict=True)]


def _interval(shares: list[float]) -> str:
    least, most = f"{min(shares) * 100:.1f} %", f"{max(shares) * 100:.1f} %"
    return least if least == most else f"{least} to {most}"


def thresholds(bench: Bench, who: Who) -> Measured:
    """A6: the length at the first trim under patterns of conversation that could hardly differ more."""
    patterns = {
        "short messages": [plain("hm")] * 40,
        "messages of 5,000 characters": [plain("word " * 1000)] * 40,
        "eight calls a round": [working(2, *[lookup()] * 8)] * 10,
        "results of 50,000 characters": [working(5, lookup(result="line " * 10_000))] * 10,
    }
    spec = with_pairs(rule_of(who), 10)
    firsts = {name: bench.watch(spec, conversation(*turns)).trims[0][0] for name, turns in patterns.items()}
    rows = [[name, first] for name, first in firsts.items()]
    return Measured(
        {
            "different": Figure(f"different thresholds under {len(firsts)} patterns", len(set(firsts.values()))),
            "threshold": Figure("length at the first trim, 10 pairs", min(firsts.values())),
        },
        [Detail("the first trim at 10 pairs", ["conversation", "trimmed at"], rows)],
    )


def context(bench: Bench, who: Who) -> Measured:
    """A7: invariants broken over the standard scenarios."""
    small = bench.standard(with_pairs(loop_of(who), 10))
    usual = bench.standard(loop_of(who))
    codes = sorted({code for runs in small.runs.values() for code in runs[0].broken})
    rows = [[code, small.broken(code), small.judged(code)] for code in codes]
    judged = sum(sum(runs[0].judgements.values()) for runs in small.runs.values())
    return Measured(
        {
            "usual": Figure(f"invariants broken at {PAIRS} pairs, standard scenarios", usual.broken()),
            "small": Figure("the same at 10 pairs", small.broken()),
            "orphans": Figure("of these, results sent without their call", small.broken("LR121")),
            "judged": Figure("judgements at 10 pairs", judged),
        },
        [Detail("broken at 10 pairs", ["invariant", "broken", "judged"], rows)] if rows else (),
    )


def small(bench: Bench, who: Who) -> Measured:
    """A8: what looking at the trigger costs while a conversation is small."""
    repeats = 2000
    if who == "seed":
        listing = Listing(PAIRS)
        listing.history = ["x"] * SMALL

        def check() -> None:
            for _ in range(repeats):
                listing.should_trim()

        def nothing() -> None:
            for _ in range(repeats):
                pass

        spent = bench.cpu_ns(repeats, check=check, without=nothing)
    else:
        checked, unchecked = (_appending(policy, repeats) for policy in ("grouped", "never"))
        spent = bench.cpu_ns(repeats, check=checked, without=unchecked)
    check_ns = spent["check"] - spent["without"]
    turns = bench.watch(loop_of(who), conversation(*[plain()] * PAIRS))
    message_us = turns.outcome.metrics["overhead_per_message_us"]
    return Measured(
        {
            "check": Figure("CPU time of looking at the trigger", check_ns, "ns", noisy=True),
            "message": Figure("CPU time of the loop for a message", message_us, "us", noisy=True),
            "share": Figure("the one by the other", check_ns / 1000 / message_us, "share", noisy=True),
        }
    )


def _appending(policy: str, repeats: int) -> Callable[[], None]:
    """Return work that appends *repeats* messages to small histories."""
    history_of, policies = target.part("history", "History"), target.part("policies", "POLICIES")
    message = Message(role="user", content="x")

    def work() -> None:
        for _ in range(repeats // SMALL):
            history = history_of(policies[policy](PAIRS, None, None))
            for _ in range(SMALL):
                history.append(message)

    return work


def pauses(bench: Bench, who: Who) -> Measured:
    """A9: how many trims moved from the end of a turn into it, and how long the worst of them takes."""
    runs = [bench.watch(with_pairs(spec, PAIRS), busy(bench.sizes.turns)) for spec in (BEFORE, loop_of(who))]
    before, after = (each.outcome.metrics for each in runs)
    return Measured(
        {
            "trims": Figure(f"trims at {PAIRS} pairs, busy turns", after["trims"]),
            "moved": Figure("of these, inside a turn", after.get("trims_in_turn", 0)),
            "worst": Figure("the worst pause", after["trim_pause_us_max"], "us", noisy=True),
            "before": Figure("the worst pause before", before["trim_pause_us_max"], "us", noisy=True),
        }
    )


def persistence(bench: Bench, who: Who) -> Measured:
    """A10: bytes that equal turns write to the session's file, while the history is short and when it is long."""
    saved = {turns: _saved_bytes(bench, who, turns) for turns in (10, 20, 90, 100)}
    return Measured(
        {
            "early": Figure("bytes written by each of turns 11 to 20", (saved[20] - saved[10]) / 10),
            "late": Figure("by each of turns 91 to 100", (saved[100] - saved[90]) / 10),
        }
    )


def _saved_bytes(bench: Bench, who: Who, turns: int) -> int:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "session.jsonl"
        bench.watch(loop_of(who), conversation(*[plain("so many words " * 10)] * turns), journal=str(path))
        return path.stat().st_size


CLAIMS = (
    Claim(
        id="A1",
        words="Trim when we're at 150% of safe size",
        where=ALGORITHM,
        rule="the first trim comes at the first length above 1.5·(2·pairs + 5), for every number of pairs",
        measure=trigger,
        holds=lambda v: v["wrong"] == 0,
        shows=("looprig run seed_1000_messages --loop reference,policy=incremental",),
    ),
    Claim(
        id="A2",
        words="Trim to a safe level (120% of max_pairs instead of 100%)",
        where=ALGORITHM,
        rule="a trim leaves 1 + 2·int(1.2·pairs) messages or, to keep a turn whole, one less; from one pair on",
        measure=left,
        holds=lambda v: v["more"] == 0 and number(v["short"]) <= 1,
    ),
    Claim(
        id="A3",
        words="5 system messages buffer",
        where=ALGORITHM,
        rule="of up to five system messages none is lost",
        measure=systems,
        holds=lambda v: v["lost"] == 0,
        shows=("looprig run many_systems --loop reference,policy=seed,max_history_pairs=10",),
    ),
    Claim(
        id="A4",
        words="Real-time memory management during tool execution",
        where=ALGORITHM,
        rule="at the benchmark's own pairs and cap of rounds, at least one trim comes inside a turn",
        measure=in_turn,
        holds=lambda v: number(v["in_turn"]) > 0,
    ),
    Claim(
        id="A5",
        words="Memory Bloat Risk: 75% reduction",
        where=COMPARISON,
        rule="the longest history is at least 75 % shorter than before, in each kind of conversation",
        measure=bloat,
        holds=lambda v: number(v["least"]) >= 0.75,
        shows=("looprig compare reference,policy=end-of-turn reference,policy=seed long_tool_chain",),
    ),
    Claim(
        id="A6",
        words="Adaptive thresholds based on conversation patterns",
        where="Incremental Memory Management Algorithm",
        rule="the threshold differs between patterns of conversation",
        measure=thresholds,
        holds=lambda v: number(v["different"]) > 1,
    ),
    Claim(
        id="A7",
        words="Maintains conversation context with safety margins",
        where="Incremental Memory Management Algorithm",
        rule="no invariant is broken over the standard scenarios",
        measure=context,
        holds=lambda v: v["usual"] == 0 and v["small"] == 0,
        shows=("looprig run --loop reference,policy=seed,max_history_pairs=10",),
    ),
    Claim(
        id="A8",
        words="Zero overhead for small conversations",
        where="Memory Efficiency Improvements",
        rule="looking at the trigger takes at most 5 % of the loop's own CPU time for a message",
        measure=small,
        holds=lambda v: number(v["share"]) <= 0.05,
    ),
    Claim(
        id="A9",
        words="Performance Impact: Distributed overhead, Better responsiveness",
        where=COMPARISON,
        rule="more than half of the trims come inside a turn instead of at its end",
        measure=pauses,
        holds=lambda v: number(v["moved"]) > number(v["trims"]) / 2,
    ),
    Claim(
        id="A10",
        words="Incremental trimming working correctly",
        where="Memory Management Benchmarks",
        rule="what the end of a turn saves does not grow with the history: late turns write at most 10 % more bytes",
        measure=persistence,
        holds=lambda v: number(v["late"]) <= 1.1 * number(v["early"]),
        on=("ours",),
        reason="beside the trim, the end of an iteration saves the session, of which the report prints nothing",
    ),
)
