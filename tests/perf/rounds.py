"""What parallel tools must show: equal to one by one, as fast as conflicts allow, cheap, and clean when cancelled.

Nearly all of it is exact: random rounds from a seed, in virtual time. `world.one_by_one` is the other opinion.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from statistics import fmean
from typing import Any, NamedTuple

import msgspec

from looprig.clock import VirtualClock
from looprig.messages import Message, ToolCall
from reference_loop.approval import DEFAULT_APPROVAL, Approval
from reference_loop.config import Config
from reference_loop.execution import Execution
from reference_loop.monitor import Monitor, NullMonitor
from reference_loop.resources import Access, order
from reference_loop.tools import tool, touch
from tests.perf.targets import Section, Target, section, table
from tests.reference_loop.world import (
    NAMES,
    Plan,
    World,
    WorldTool,
    critical_path_s,
    execution_of,
    one_by_one,
    random_plans,
    run_round,
)

UNLIMITED = 1_000_000


def in_virtual_time(work: Awaitable[Any]) -> Any:
    loop = VirtualClock().event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


# equal to one by one ------------------------------------------------------------------------------


def history_bytes(calls: Sequence[ToolCall], results: Sequence[Message]) -> bytes:
    """Return the bytes of a conversation with this round."""
    asked = [Message(role="user", content="go"), Message(role="assistant", tool_calls=tuple(calls))]
    return msgspec.json.encode([*asked, *results])


async def count_unequal(rounds: int, seed: int) -> dict[str, int]:
    """Return in how many of so many random rounds something differs from running the calls one by one."""
    random = Random(seed)
    unequal = dict.fromkeys(("results", "states", "histories", "calls", "failed calls"), 0)
    for number in range(rounds):
        plans = random_plans(random, (2, 10), writers=0.3, failing=0.1)
        skip = number % 2 == 0
        texts, expected = one_by_one(plans, skip)
        world = World(plans)
        results = await run_round(
            world, on_failure="skip" if skip else "run", max_parallel=random.choice((1, 2, 4, 8, UNLIMITED)),
            parallel=number % 8 != 7,
        )  # fmt: skip
        messages = [
            Message(role="tool", content=text, tool_call_id=call.id)
            for text, call in zip(texts, world.calls(), strict=True)
        ]
        unequal["results"] += texts != [message.content for message in results]
        unequal["states"] += expected.state != world.state
        unequal["histories"] += history_bytes(world.calls(), messages) != history_bytes(world.calls(), results)
        unequal["calls"] += len(plans)
        unequal["failed calls"] += sum(plan.outcome != "ok" for plan in plans)
    return unequal


# as fast as conflicts allow -----------------------------------------------------------------------


class Mix(NamedTuple):
    """A distribution of rounds: how many calls, how many of them write, how many run at a time, how long they take."""

    name: str
    calls: tuple[int, int]
    writers: float
    slots: int
    duration_s: Callable[[Random], float] = lambda random: random.lognormvariate(0.0, 1.0)

    def rounds(self, count: int, seed: int) -> list[list[Plan]]:
        random = Random(seed)
        return [self._round(random) for _ in range(count)]

    def _round(self, random: Random) -> list[Plan]:
        plans = []
        for _ in range(random.randint(*self.calls)):
            touched = tuple(random.choices(NAMES, k=random.choice((1, 2))))
            writes = random.random() < self.writers
            plans.append(Plan(() if writes else touched, touched if writes else (), self.duration_s(random)))
        return plans


CLAIMED = (
    Mix("2-8 calls, 30 % writers, unlimited", (2, 8), 0.3, UNLIMITED),
    Mix("8-32 calls, 15 % writers, 8 slots", (8, 32), 0.15, 8),
    Mix("reads only, 2-8 calls, 4 slots", (2, 8), 0.0, 4),
)
OTHERS = (
    Mix("8-32 calls, 5 % writers, 4 slots", (8, 32), 0.05, 4),
    Mix("8-32 calls, 30 % writers, 2 slots", (8, 32), 0.3, 2),
    Mix("reads only, 2-8 calls, 4 slots, exponential times", (2, 8), 0.0, 4, lambda random: random.expovariate(1.0)),
    Mix("reads only, 2-8 calls, 4 slots, uniform times", (2, 8), 0.0, 4, lambda random: random.uniform(0.5, 1.5)),
    Mix("reads only, 2-8 calls, 4 slots, equal times", (2, 8), 0.0, 4, lambda random: 1.0),
)

Policy = Callable[[World, int], Awaitable[list[str]]]


async def sequential(world: World, slots: int) -> list[str]:
    return [await WorldTool(world, number, None).arun({}) for number in range(len(world.plans))]


async def gather(world: World, slots: int) -> list[str]:
    free = asyncio.Semaphore(slots)

    async def one(number: int) -> str:
        async with free:
            return await WorldTool(world, number, None).arun({})

    return await asyncio.gather(*map(one, range(len(world.plans))))


async def barriers(world: World, slots: int) -> list[str]:
    """A call that writes anything runs alone; those between two of them run together."""
    texts: list[str] = []
    free = asyncio.Semaphore(slots)

    async def one(number: int) -> str:
        async with free:
            return await WorldTool(world, number, None).arun({})

    together: list[int] = []
    for number, plan in enumerate(world.plans):
        if plan.writes:
            texts += await asyncio.gather(*map(one, together))
            texts.append(await one(number))
            together = []
        else:
            together.append(number)
    return texts + await asyncio.gather(*map(one, together))


async def in_call_order(world: World, slots: int) -> list[str]:
    """Ours, where each call seems to take longer than all later ones together: the first that is ready is next."""
    expected = [4.0**-number for number in range(len(world.plans))]
    return [message.content for message in await run_round(world, max_parallel=slots, expected=expected)]


async def unknown_times(world: World, slots: int) -> list[str]:
    """Ours, where nothing is known of how long a call takes: the one with most calls behind it is next."""
    expected = [None] * len(world.plans)
    return [message.content for message in await run_round(world, max_parallel=slots, expected=expected)]


async def longest_tail(world: World, slots: int) -> list[str]:
    return [message.content for message in await run_round(world, max_parallel=slots)]


LONGEST_TAIL = "ours, longest expected tail"
POLICIES: dict[str, Policy] = {
    "sequential": sequential,
    "plain gather": gather,
    "one-writer barriers": barriers,
    "ours, in call order": in_call_order,
    "ours, times unknown": unknown_times,
    LONGEST_TAIL: longest_tail,
}


class Measured(NamedTuple):
    """Of many rounds under a policy: share equal to sequential, mean speed-up, makespan over the bound (mean, max),
    and how far the worst makespan is above Graham's bound and the critical path, as a share."""

    equal: float
    speedup: float
    over_bound: float
    over_bound_max: float
    over_graham: float
    off_critical_path: float


async def play(policy: Policy, mix: Mix, rounds: Sequence[Sequence[Plan]]) -> Measured:
    loop = asyncio.get_running_loop()
    equal, speedups, ratios, graham, off = 0, [], [], [], []
    for plans in rounds:
        texts, expected = one_by_one(plans, skip=True)
        world, started_s = World(plans), loop.time()
        equal += await policy(world, mix.slots) == texts and world.state == expected.state
        took_s = loop.time() - started_s
        work_s, path_s = sum(plan.duration_s for plan in plans), critical_path_s(plans)
        bound_s = max(path_s, work_s / mix.slots)
        speedups.append(work_s / took_s)
        ratios.append(took_s / bound_s)
        graham.append(took_s / ((2 - 1 / mix.slots) * bound_s))
        off.append(abs(took_s - path_s) / path_s)
    count = len(rounds)
    return Measured(equal / count, fmean(speedups), fmean(ratios), max(ratios), max(graham), max(off))


def best_s(times_s: Sequence[float], slots: int) -> float:
    """Return the shortest makespan that there is for calls which do not conflict, by trying all ways."""
    waiting = sorted(times_s)
    best = sum(times_s)

    def place(loads: list[float]) -> None:
        nonlocal best
        if max(loads) >= best:
            return
        if not waiting:
            best = max(loads)
            return
        time_s = waiting.pop()
        for load in set(loads):
            others = list(loads)
            others.remove(load)
            place([*others, load + time_s])
        waiting.append(time_s)

    place([0.0] * slots)
    return best


# cheap --------------------------------------------------------------------------------------------


class Noop:
    """A tool that does nothing."""

    name, category, reads, writes = "noop", "read", (), ()

    async def arun(self, arguments: Any) -> str:
        return "ok"


async def bare(calls: Sequence[ToolCall], free: asyncio.Semaphore, each: Noop) -> list[str]:
    """What nobody can do without: a limit of width, a limit of time, and tasks that do not outlive the round."""

    async def one() -> str:
        async with free, asyncio.timeout(30.0):
            return await each.arun({})

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for _ in calls]
    return [task.result() for task in tasks]


async def costs_us(width: int, rounds: int = 15, repeats: int = 2_000) -> dict[str, float]:
    """Return microseconds of CPU time for a call that does nothing, in the best of several interleaved rounds."""
    calls = [ToolCall(id=f"c{number}", name="noop", arguments="{}") for number in range(width)]
    each, free = Noop(), asyncio.Semaphore(8)
    best: dict[str, float] = {}
    monitors = {"ours, monitored": Monitor(), "ours, not monitored": NullMonitor()}
    executions = {
        name: Execution({"noop": each}, Approval(DEFAULT_APPROVAL, None, monitor), monitor, Config())
        for name, monitor in monitors.items()
    }
    ways: dict[str, Callable[[], Awaitable[object]]] = {"bare": lambda: bare(calls, free, each)}
    for name, execution in executions.items():
        ways[name] = lambda execution=execution: execution.run_round(calls, lambda message: None)  # type: ignore[misc]
    gc.disable()
    for _ in range(rounds):
        for name, way in ways.items():
            started_ns = time.thread_time_ns()
            for _ in range(repeats // width):
                await way()
            per_call = (time.thread_time_ns() - started_ns) / (repeats // width) / width / 1000
            best[name] = min(best.get(name, per_call), per_call)
    gc.enable()
    return best


def analysis_us(width: int) -> float:
    """Return microseconds of CPU time to find out what one call has to wait for, in a round of plain names."""
    random, best = Random(1), float("inf")
    accesses = [
        Access((random.choice(NAMES),), (random.choice(NAMES),) if random.random() < 0.3 else ()) for _ in range(width)
    ]
    for _ in range(20):
        started_ns = time.thread_time_ns()
        for _ in range(2_000 // width):
            order(accesses)
        best = min(best, (time.thread_time_ns() - started_ns) / (2_000 // width) / width / 1000)
    return best


# in real time -------------------------------------------------------------------------------------


def eight_naps_ms(in_threads: bool, tries: int = 7) -> float:
    """Return milliseconds of real time for eight independent tools of 50 ms, the best of several tries."""

    class Nap:
        name, category, reads, writes = "nap", "read", (), ()

        def __init__(self) -> None:
            setattr(self, "run" if in_threads else "arun", self.plain if in_threads else self.later)

        def plain(self, arguments: Any) -> str:
            time.sleep(0.05)
            return "ok"

        async def later(self, arguments: Any) -> str:
            await asyncio.sleep(0.05)
            return "ok"

    async def once() -> float:
        monitor = Monitor()
        results: list[Message] = []
        execution = Execution({"nap": Nap()}, Approval(DEFAULT_APPROVAL, None, monitor), monitor, Config())
        started_s = time.perf_counter()
        await execution.run_round([ToolCall(id=f"c{n}", name="nap") for n in range(8)], results.append)
        assert ["ok"] * 8 == [message.content for message in results]
        return (time.perf_counter() - started_s) * 1000

    return min(asyncio.run(once()) for _ in range(tries))


# cancelled ----------------------------------------------------------------------------------------


class Cancelled(NamedTuple):
    """Of many rounds that were cancelled somewhere: tasks left alive, calls without exactly one result, lies about
    what had begun; and how many calls were cancelled while they ran, and before."""

    rounds: int
    alive: int
    unanswered: int
    lies: int
    while_running: int
    before: int


async def cancel_rounds(count: int, seed: int) -> Cancelled:
    """Cancel each of so many random rounds: half of them at a random time, half after a random number of steps."""
    random = Random(seed)
    cancelled = alive = unanswered = lies = while_running = before = 0
    while cancelled < count:
        plans = random_plans(random, (2, 8), writers=0.3, failing=0.1)
        world = World(plans)
        results: list[Message] = []
        execution = execution_of(world, max_parallel=random.choice((2, 8)))
        turn = asyncio.create_task(execution.run_round(world.calls(), results.append))
        if cancelled % 2:
            await asyncio.sleep(random.uniform(0.0, sum(plan.duration_s for plan in plans)))
        else:
            for _ in range(random.randrange(1, 12)):
                await asyncio.sleep(0)
        if turn.done():
            continue
        turn.cancel()
        try:
            await turn
        except asyncio.CancelledError:
            cancelled += 1
        alive += len(asyncio.all_tasks()) - 1
        unanswered += [call.id for call in world.calls()] != [message.tool_call_id for message in results]
        for number, message in enumerate(results):
            text, began = message.content, number in world.began
            lies += text.startswith("not run") if began else text == "cancelled: outcome unknown"
            while_running += message.content == "cancelled: outcome unknown"
            before += message.content == "not run: cancelled"
    return Cancelled(cancelled, alive, unanswered, lies, while_running, before)


# audited ------------------------------------------------------------------------------------------


async def audited() -> tuple[set[str], int, list[str]]:
    """Let a tool lie about what it touches; return the liars, the errors counted, and the order of begins and ends."""
    order_seen: list[str] = []

    @tool(category="read", reads=())
    async def sly() -> str:
        """Say that it touches nothing, and write a file."""
        order_seen.append("sly begins")
        touch("file:a", write=True)
        await asyncio.sleep(1)
        order_seen.append("sly ends")
        return "ok"

    @tool(category="read", reads=("file:a",))
    async def honest() -> str:
        """Read what it declares."""
        order_seen.append("honest begins")
        touch("file:a")
        await asyncio.sleep(1)
        order_seen.append("honest ends")
        return "ok"

    monitor = Monitor()
    approval = Approval(DEFAULT_APPROVAL, None, monitor)
    execution = Execution({"sly": sly, "honest": honest}, approval, monitor, Config(tool_timeout_s=None))
    calls = [ToolCall(id="c0", name="sly"), ToolCall(id="c1", name="honest")]
    for _ in range(2):
        await execution.run_round(calls, lambda message: None)
    return execution.liars, int(monitor.statistics()["errors_with_traceback"]), order_seen


# the report ---------------------------------------------------------------------------------------


def equality(rounds: int) -> list[Target]:
    unequal = in_virtual_time(count_unequal(rounds, seed=1))
    calls, failed = f"{unequal['calls']:,}", f"{unequal['failed calls']:,}"
    return [
        Target("random rounds run against one by one", f"{rounds:,}", "100,000", rounds >= 100_000),
        *(
            Target(f"of these, rounds whose {what} differ, in {calls} calls, {failed} of them failing",
                   f"{unequal[what]}", "0", unequal[what] == 0)
            for what in ("results", "states", "histories")
        ),
    ]  # fmt: skip


def makespans(rounds: int) -> tuple[list[Target], list[str]]:
    targets, rows, others = [], [], []
    for mix in (*CLAIMED, *OTHERS):
        played = mix.rounds(rounds, seed=1)
        names = list(POLICIES) if mix in CLAIMED else [LONGEST_TAIL]
        measured = {name: in_virtual_time(play(POLICIES[name], mix, played)) for name in names}
        ours = measured[LONGEST_TAIL]
        targets += _bounds(mix, ours)
        if mix in CLAIMED:
            for name, each in measured.items():
                rows.append([mix.name, name, f"{each.equal:.1%}", f"{each.speedup:.2f}", f"{each.over_bound:.3f}"])
        best = _best_over_bound(mix, played) if mix.writers == 0 else None
        ratios = (ours.over_bound, ours.over_bound_max, best)
        others.append([mix.name, f"{ours.speedup:.2f}", *(f"{each:.4f}" if each else "-" for each in ratios)])
    return targets, [
        f"{rounds:,} rounds of each kind, the same for every policy; times are lognormal (sigma 1) unless said "
        "otherwise. The bound is max(critical path, work / slots); who comes below it breaks conflicts.",
        table(["rounds", "policy", "equal to one by one", "mean speed-up", "mean makespan / bound"], rows),
        "Ours with the longest expected tail first, over more kinds of rounds; the claim of 1.01 is about the first "
        "three. The last column is the best that any schedule can do, found by trying all of them: where tools take "
        "about the same time, that is far above the bound.",
        table(["rounds", "mean speed-up", "mean makespan / bound", "largest", "best possible mean"], others),
    ]


def _best_over_bound(mix: Mix, rounds: Sequence[Sequence[Plan]]) -> float:
    times = [[plan.duration_s for plan in plans] for plans in rounds]
    return fmean(best_s(each, mix.slots) / max(*each, sum(each) / mix.slots) for each in times)


def _bounds(mix: Mix, ours: Measured) -> list[Target]:
    if mix.slots == UNLIMITED:
        off = ours.off_critical_path
        return [Target(f"{mix.name}: makespan off the critical path", f"{off:.1e}", "1e-9", off <= 1e-9)]
    worst, mean = ours.over_graham, ours.over_bound
    what = f"{mix.name}: worst makespan / ((2 - 1/slots) * bound)"
    targets = [Target(what, f"{worst:.3f}", "1", worst <= 1 + 1e-9)]
    if mix in CLAIMED:
        targets.append(Target(f"{mix.name}: mean makespan / bound", f"{mean:.4f}", "1.01", mean <= 1.01))
    return targets


def costs() -> tuple[list[Target], list[str]]:
    targets, rows = [], []
    for width in (8, 64):
        measured = asyncio.run(costs_us(width))
        for name, cost in measured.items():
            ratio = cost / measured["bare"]
            rows.append([width, name, f"{cost:.1f} us", f"{ratio:.2f}"])
            if name != "bare":
                what = f"a call that does nothing, in a round of {width}, {name} / bare"
                targets.append(Target(what, f"{ratio:.2f}", "3", ratio <= 3))
    looked = [[width, f"{analysis_us(width):.2f} us"] for width in (2, 8, 32, 128)]
    return targets, [
        "Bare is a semaphore, `asyncio.timeout` and a TaskGroup, side by side in one run; minimum of 15 rounds.",
        table(["calls in a round", "way", "CPU time of a call", "to bare"], rows),
        table(["calls in a round", "finding out what one call has to wait for"], looked),
    ]


def real_time() -> list[Target]:
    naps = {"asynchronous": eight_naps_ms(in_threads=False), "in threads": eight_naps_ms(in_threads=True)}
    return [
        Target(f"eight independent tools of 50 ms, {name}", f"{taken:.1f} ms", "60 ms", taken <= 60)
        for name, taken in naps.items()
    ]


def cancelling(rounds: int) -> list[Target]:
    done = in_virtual_time(cancel_rounds(rounds, seed=1))
    what = f"{done.while_running:,} calls cancelled while they ran, {done.before:,} before"
    return [
        Target(f"rounds cancelled at random points ({what})", f"{done.rounds:,}", "10,000", done.rounds >= 10_000),
        Target("of these, tasks left alive", f"{done.alive}", "0", done.alive == 0),
        Target(
            "of these, rounds without exactly one result for each call", f"{done.unanswered}", "0", not done.unanswered
        ),
        Target("results that are wrong about whether the tool had begun", f"{done.lies}", "0", done.lies == 0),
    ]


def auditing() -> list[Target]:
    liars, errors, seen = in_virtual_time(audited())
    alone = ["sly begins", "sly ends", "honest begins", "honest ends"]
    return [
        Target("tools named by the audit", ", ".join(sorted(liars)), "sly", liars == {"sly"} and errors >= 1),
        Target("the tool that lied, in its second round", ", ".join(seen[4:]), "alone", seen[4:] == alone),
    ]


def measure(rounds: int = 100_000, played: int = 3_000, cancelled: int = 10_000) -> Section:
    """Play, compare, time."""
    fast, tables = makespans(played)
    cheap, more = costs()
    targets = [*equality(rounds), *fast, *cheap, *real_time(), *cancelling(cancelled), *auditing()]
    return Section("Parallel tools", ".venv/bin/python -m tests.perf.rounds", targets, [*tables, *more])


if __name__ == "__main__":
    part = measure()
    print(section(part))
    sys.exit(not all(target.holds for target in part.targets))
