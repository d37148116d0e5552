"""Rounds of tool calls over a small shared world, and what running them one by one gives.

Each tool reads the world when it starts and writes to it when it ends, so that two calls which conflict and overlap
leave other results, or another world, than in call order. `one_by_one` knows nothing of the reference loop.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from looprig.messages import Message, ToolCall
from looprig.toolbox import conflict
from reference_loop.approval import DEFAULT_APPROVAL, Approval
from reference_loop.config import Config
from reference_loop.execution import Execution
from reference_loop.monitor import NullMonitor

NAMES = ("a", "ab", "abc", "b", "ba", "c", "ca", "cab")
PATTERNS = (*NAMES, "a*", "ab*", "b*", "c*", "*")
LIMIT_S = 1000.0


class Plan(NamedTuple):
    """A call: what it reads and writes, how long it takes, and what comes of it (ok, raise, hang, deny or unknown)."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    duration_s: float = 1.0
    outcome: str = "ok"


class ToolBroke(Exception):
    """What a tool raises that is planned to."""


class World:
    """Resources with values, and the calls of one round that work on them."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.plans = plans
        self.state = dict.fromkeys(NAMES, "")
        self.began: list[int] = []

    def begin(self, number: int) -> str:
        """Start a call: return what it sees."""
        self.began.append(number)
        plan = self.plans[number]
        return ";".join(f"{name}={self.state[name]}" for name in NAMES if stands_for(plan.reads + plan.writes, name))

    def end(self, number: int, seen: str) -> str:
        """End a call: it writes, also where it then fails, and returns a text that depends on what it saw."""
        plan = self.plans[number]
        text = f"{number}:{zlib.crc32(seen.encode()):x}"
        written = [name for name in NAMES if stands_for(plan.writes, name)]
        for name in written[: len(written) // 2] if plan.outcome == "raise" else written:
            self.state[name] = text
        if plan.outcome == "raise":
            raise ToolBroke(text)
        return text

    def calls(self) -> list[ToolCall]:
        return [
            ToolCall(id=f"c{number}", name="nobody" if plan.outcome == "unknown" else f"t{number}", arguments="{}")
            for number, plan in enumerate(self.plans)
        ]


class WorldTool:
    """The tool of one call, so that each has its own resources and its own expected time."""

    def __init__(self, world: World, number: int, expected_s: float | None) -> None:
        plan = world.plans[number]
        self.world, self.number, self.plan, self.expected_s = world, number, plan, expected_s
        self.reads, self.writes = plan.reads, plan.writes
        self.category = "destructive" if plan.outcome == "deny" else "write" if plan.writes else "read"

    async def arun(self, arguments: Any) -> str:
        seen = self.world.begin(self.number)
        await asyncio.sleep(LIMIT_S * 2 if self.plan.outcome == "hang" else self.plan.duration_s)
        return self.world.end(self.number, seen)


def stands_for(patterns: Sequence[str], name: str) -> bool:
    return any(name.startswith(each[:-1]) if each.endswith("*") else name == each for each in patterns)


def one_by_one(plans: Sequence[Plan], skip: bool) -> tuple[list[str], World]:
    """Run the calls in call order, without any loop or scheduler; return their results and what became of the world."""
    world, texts = World(plans), []
    roots: dict[int, int] = {}  # of each call that failed or was not run: the first call that is the reason
    for number, plan in enumerate(plans):
        before = [] if plan.outcome == "unknown" else [n for n in roots if conflict(plans[n][:2], plan[:2])]
        if plan.outcome == "unknown":
            known = ", ".join(f"t{n}" for n, each in enumerate(plans) if each.outcome != "unknown") or "none"
            texts.append(f"error: there is no tool 'nobody'; available: {known}")
        elif skip and before:
            roots[number] = min(roots[n] for n in before)
            texts.append(f"not run: depends on call c{roots[number]} (t{roots[number]}), which failed")
        else:
            texts.append(_outcome(world, number))
            if plan.outcome != "ok":
                roots[number] = number
    return texts, world


def _outcome(world: World, number: int) -> str:
    outcome = world.plans[number].outcome
    if outcome == "deny":
        return "denied: not approved"
    seen = world.begin(number)
    if outcome == "hang":
        return f"error: timed out after {LIMIT_S:g} s, outcome unknown"
    try:
        return world.end(number, seen)
    except ToolBroke as error:
        return f"error: ToolBroke: {error}"


def execution_of(world: World, *, expected: Sequence[float | None] | None = None, **options: Any) -> Execution:
    """Return an execution whose tools are those of *world*; *expected* says how long each takes, if not its time."""
    tools = {
        f"t{number}": WorldTool(world, number, plan.duration_s if expected is None else expected[number])
        for number, plan in enumerate(world.plans)
        if plan.outcome != "unknown"
    }
    monitor = NullMonitor()
    monitor.error = lambda what, error: None  # type: ignore[method-assign]  # thousands of tools fail on purpose
    approval = Approval(DEFAULT_APPROVAL, lambda *_: False, monitor)
    return Execution(tools, approval, monitor, Config(tool_timeout_s=LIMIT_S, **options))


async def run_round(world: World, **options: Any) -> list[Message]:
    """Run the round with the reference loop's execution; return its results."""
    results: list[Message] = []
    await execution_of(world, **options).run_round(world.calls(), results.append)
    return results


def critical_path_s(plans: Sequence[Plan]) -> float:
    """Return the length of the longest chain of calls that conflict, by looking at all pairs."""
    ends: list[float] = []
    for number, plan in enumerate(plans):
        before = [ends[n] for n in range(number) if conflict(plans[n][:2], plan[:2])]
        ends.append(max(before, default=0.0) + plan.duration_s)
    return max(ends, default=0.0)


def random_plans(random: Random, calls: tuple[int, int], writers: float, failing: float) -> list[Plan]:
    """Return a random round: one call in so many writes, one in so many fails, and half of them touch patterns."""

    def some(size: int) -> tuple[str, ...]:
        return tuple(random.choices(NAMES if random.random() < 0.7 else PATTERNS, k=size))

    plans = []
    for _ in range(random.randint(*calls)):
        writes = some(random.choice((1, 1, 2))) if random.random() < writers else ()
        outcome = random.choice(("raise", "hang", "deny", "unknown")) if random.random() < failing else "ok"
        plans.append(Plan(some(random.choice((0, 1, 1, 2))), writes, random.lognormvariate(0.0, 1.0), outcome))
    return plans
