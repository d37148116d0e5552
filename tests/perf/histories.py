"""Measures what a history costs: CPU time of appends and trims, and tokens against a prompt cache.

CPU time is the thread's own, with the garbage collector off. Sides are interleaved in one process, and of several
rounds the least counts: what another process takes away is not the history's. Each pause is the least of several
passes over the same messages, append by append, and then the longest of all appends. The prompt cache is the prefix
that a request shares with the one before, at a tenth of the price, in the scenario ``parallel_tools``.
"""

from __future__ import annotations

import gc
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from looprig import testing
from looprig.messages import Message, ToolCall
from looprig.runner import Outcome
from reference_loop import make_loop
from reference_loop.history import History
from reference_loop.policies import POLICIES
from tests.perf.targets import Section, Target, section, table

KEPT = (200, 2_400, 24_000, 240_000)
APPENDS = (10_000, 100_000, 1_000_000)
TRIMMING = [name for name in POLICIES if name != "never"]
HIT_PRICE = 0.1
SHARES_OF_TRIGGER = (0.9, 0.75, 0.5, 0.25, 0.1)
TURNS = 60
SEEDS = (1, 2, 3, 4, 5)


class Bounded:
    """What a history is held against: one line that drops the oldest message."""

    def __init__(self, kept: int) -> None:
        self._messages: deque[Message] = deque(maxlen=kept)

    def append(self, message: Message) -> None:
        self._messages.append(message)


def history(policy: str, kept: int) -> History:
    """Return an empty history with the policy's own limits, which are such that ``grouped`` trims to *kept*."""
    return History(POLICIES[policy](kept * 5 // 12, None, None))


def turns(messages: int) -> list[Message]:
    """Return turns with no, one and two rounds of one or two calls each; no two messages are one object."""
    made: list[Message] = []
    number = 0
    while len(made) < messages:
        made.append(Message(role="user", content=f"question {number}"))
        for _ in range(number % 3):
            made += group(number, 1 + number % 2)
        made.append(Message(role="assistant", content=f"answer {number}"))
        number += 1
    return made[:messages]


def endless_turn(messages: int) -> list[Message]:
    """Return one question and rounds of one or two calls."""
    made = [Message(role="user", content="question")]
    while len(made) < messages:
        made += group(len(made), 1 + len(made) % 2)
    return made[:messages]


def group(number: int, width: int) -> list[Message]:
    ids = [f"call_{number}_{call}" for call in range(width)]
    calls = tuple(ToolCall(id=each, name="search") for each in ids)
    results = [Message(role="tool", content="result", tool_call_id=each) for each in ids]
    return [Message(role="assistant", tool_calls=calls), *results]


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Cost(NamedTuple):
    """CPU time of one append, amortised, and of the same append to a bounded deque, side by side."""

    appends: int
    kept: int
    history_ns: float
    deque_ns: float


def costs(messages: Sequence[Message], sizes: Sequence[tuple[int, int]], rounds: int = 7) -> list[Cost]:
    """Measure grouped histories by numbers of appends and of kept messages, all sizes in every round."""
    runs = [size for size in sizes for _ in range(min(5, len(messages) // size[0]))]
    best: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
    for _ in range(rounds):
        for appends, kept in runs:
            took = (blocks(history("grouped", kept), messages[:appends]), blocks(Bounded(kept), messages[:appends]))
            least = best.setdefault((appends, kept), took)
            best[appends, kept] = (list(map(min, least[0], took[0])), list(map(min, least[1], took[1])))
    return [Cost(*size, *(sum(least) / size[0] for least in best[size])) for size in sizes]


def blocks(made: Bounded | History, messages: Sequence[Message], size: int = 10_000) -> list[int]:
    """Append all messages; return the CPU nanoseconds that each block of them took."""
    took = []
    for first in range(0, len(messages), size):
        block = messages[first : first + size]
        started_ns = time.thread_time_ns()
        for message in block:
            made.append(message)
        took.append(time.thread_time_ns() - started_ns)
    return took


def pauses_ns(policy: str, kept: int, messages: Sequence[Message], passes: int = 7) -> array[int]:
    """Return the CPU time of each append, the reading of the clock included: the least of several passes.

    Between two trims of a long history the processor forgets their code, and that time is in here: nothing is trimmed
    only to keep it warm. All histories stay alive until the end, because to free one is no append of the next.
    """
    clock, least, alive = time.thread_time_ns, array("q", [sys.maxsize]) * len(messages), []
    for _ in range(passes):
        made = history(policy, kept)
        alive.append(made)
        for number, message in enumerate(messages):
            started_ns = clock()
            made.append(message)
            took_ns = clock() - started_ns
            if took_ns < least[number]:
                least[number] = took_ns
    return least


def trims_of(policy: str, kept: int, messages: Sequence[Message]) -> list[int]:
    """Return the numbers of the appends that trim."""
    made, numbers, before = history(policy, kept), [], 0
    for number, message in enumerate(messages):
        made.append(message)
        if len(made) != before + 1:
            numbers.append(number)
        before = len(made)
    return numbers


class Pause(NamedTuple):
    """The longest append in a history, the longest that trims, and the one in a thousand, in microseconds."""

    longest_us: float
    trim_us: float
    thousandth_us: float


def pause(policy: str, kept: int, messages: Sequence[Message], passes: int = 7) -> Pause:
    least = pauses_ns(policy, kept, messages, passes)
    trims = trims_of(policy, kept, messages)
    longest = max((least[number] for number in trims), default=0)
    return Pause(max(least) / 1000, longest / 1000, sorted(least)[-len(least) // 1000] / 1000)


class Setting(NamedTuple):
    """A policy with its limits; None stands for the policy's own."""

    policy: str
    pairs: int
    trigger: int | None = None
    target: int | None = None

    def loop(self, model: Any, tools: Any) -> Any:
        limits = {name: value for name, value in self._asdict().items() if name in ("trigger", "target") and value}
        return make_loop(model, tools, policy=self.policy, max_history_pairs=self.pairs, **limits)


class Paid(NamedTuple):
    """A setting against a prompt cache: cost and prefix share relative to the untrimmed loop, peak, broken."""

    setting: Setting
    cost: float
    share: float
    peak_tokens: float
    broken: int


def settings(pairs: int) -> Iterator[Setting]:
    """Yield all policies with their own limits, and those that have a choice with a range of targets."""
    for policy in TRIMMING:
        yield Setting(policy, pairs)
        if policy in ("end-of-turn", "incremental", "grouped"):
            trigger = 3 * (2 * pairs + 5) // 2
            yield from (Setting(policy, pairs, trigger, round(share * trigger)) for share in SHARES_OF_TRIGGER)


def paid(setting: Setting, plain: Sequence[tuple[float, float]]) -> Paid:
    """Play the scenario with a seed for each of *plain*, the untrimmed loop's cost and share."""
    outcomes = [played(seed, setting.loop) for seed in SEEDS[: len(plain)]]
    bills = [bill(outcome) for outcome in outcomes]
    return Paid(
        setting,
        mean([cost / base for (cost, _), (base, _) in zip(bills, plain, strict=True)]),
        mean([share / base for (_, share), (_, base) in zip(bills, plain, strict=True)]),
        mean([outcome.metrics["request_tokens_peak"] for outcome in outcomes]),
        sum(sum(outcome.broken.values()) for outcome in outcomes),
    )


def played(seed: int, loop: Callable[[Any, Any], Any]) -> Outcome:
    return testing.play(loop, "parallel_tools", seed=seed, turns=TURNS)


def bill(outcome: Outcome) -> tuple[float, float]:
    """Return the cost in tokens at full price, and the share of tokens that the cache had."""
    sent, share = outcome.metrics["tokens_sent"], outcome.metrics["cached_prefix_share"]
    return sent * (1 - share) + HIT_PRICE * sent * share, share


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def measure(appends: Sequence[int] = APPENDS, kept: Sequence[int] = KEPT, seeds: int = len(SEEDS)) -> Section:
    """Measure all of it; smaller sizes are for trying the script out."""
    messages = turns(appends[-1])
    with no_garbage_collection():
        sizes = [*((count, kept[0]) for count in appends), *((appends[-1], size) for size in kept[1:])]
        measured = costs(messages, sizes)
        pauses = measure_pauses(messages[: 2 * kept[-1]], (kept[1], kept[-1]))
    plain = [bill(played(seed, Setting("never", 0).loop)) for seed in SEEDS[:seeds]]
    bills = [paid(setting, plain) for pairs in (10, 50) for setting in settings(pairs)]
    return Section(
        "Histories: what an append, a trim and a request cost",
        ".venv/bin/python -m tests.perf.histories",
        [*append_targets(measured), *pause_targets(pauses, kept), *cache_targets(bills)],
        [
            table(
                ["appends", "kept", "grouped, ns an append", "bounded deque, ns", "ratio"],
                [
                    [f"{one.appends:,}", f"{one.kept:,}", f"{one.history_ns:.0f}", f"{one.deque_ns:.0f}", ratio(one)]
                    for one in measured
                ],
            ),
            *pause_tables(pauses, kept),
            *(cache_table(pairs, [one for one in bills if one.setting.pairs == pairs]) for pairs in (10, 50)),
        ],
    )


Pauses = Mapping[str, tuple[Pause, Pause]]


def measure_pauses(messages: Sequence[Message], sizes: tuple[int, int]) -> dict[str, tuple[Pause, Pause]]:
    """Measure the pauses of each policy at two sizes, and those of ``grouped`` in one endless turn."""

    def pair(policy: str, said: Sequence[Message], passes: int) -> tuple[Pause, Pause]:
        small, large = (pause(policy, size, said, passes) for size in sizes)
        return small, large

    pauses = {policy: pair(policy, messages, 9 if policy == "grouped" else 2) for policy in TRIMMING}
    pauses["grouped, one endless turn"] = pair("grouped", endless_turn(len(messages)), 5)
    return pauses


def pause_tables(pauses: Pauses, kept: Sequence[int]) -> Iterator[str]:
    columns = ("longest append", "longest trim", "one in a thousand")
    headers = [f"{column}, {size:,} kept" for column in columns for size in (kept[1], kept[-1])]
    rows = [
        [name, *(f"{each:,.1f}" for both in zip(*pair, strict=True) for each in both)] for name, pair in pauses.items()
    ]
    yield table(["us of CPU", *headers], rows)


def ratio(one: Cost) -> str:
    return f"{one.history_ns / one.deque_ns:.1f}"


def append_targets(measured: Sequence[Cost]) -> Iterator[Target]:
    middle = mean([one.history_ns for one in measured])
    away = max(abs(one.history_ns / middle - 1) for one in measured)
    yield Target(
        "`grouped`: CPU time of an append, by numbers of appends and of kept messages",
        f"{middle:.0f} ns, and never more than {away:.0%} away",
        "15 % away",
        away <= 0.15,
    )
    most = max(one.history_ns / one.deque_ns for one in measured)
    yield Target("the same by that of a bounded deque, at most", f"{most:.1f} times", "10 times", most <= 10)


def pause_targets(pauses: Pauses, kept: Sequence[int]) -> Iterator[Target]:
    small, large = pauses["grouped"]
    yield Target(
        f"`grouped`: the longest append with {kept[-1]:,} kept by that with {kept[1]:,}",
        f"{large.longest_us:.1f} us by {small.longest_us:.1f} us, {large.longest_us / small.longest_us:.2f} times",
        "2 times",
        large.longest_us <= 2 * small.longest_us,
    )


def cache_targets(bills: Sequence[Paid]) -> Iterator[Target]:
    best = min((one for one in bills if one.setting.pairs == 50 and not one.broken), key=lambda one: one.cost)
    which = f"{best.setting.policy}, target {best.setting.target or 'its own'}"
    yield Target(
        "cost by the untrimmed loop's at p = 50, cached tokens at a tenth, in the best setting that breaks nothing",
        f"{best.cost:.2f} times ({which})",
        "0.60 times",
        best.cost <= 0.6,
    )
    yield Target(
        "its prefix share by the untrimmed loop's", f"{best.share:.3f} times", "0.950 times", best.share >= 0.95
    )


def cache_table(pairs: int, bills: Sequence[Paid]) -> str:
    rows = [
        [
            one.setting.policy,
            one.setting.target or "its own",
            f"{one.cost:.2f}",
            f"{one.share:.3f}",
            f"{one.peak_tokens:,.0f}",
            f"{one.broken:,}",
        ]
        for one in bills
    ]
    return table([f"p = {pairs}", "target", "cost", "prefix share", "peak tokens", "invariants broken"], rows)


if __name__ == "__main__":
    part = measure()
    print(section(part))
    sys.exit(not all(each.holds for each in part.targets))
