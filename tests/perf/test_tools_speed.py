"""What scheduling costs, under pytest-benchmark: a smoke size in every run, the full size with ``-m perf``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from looprig.messages import Message, ToolCall
from reference_loop.approval import DEFAULT_APPROVAL, Approval
from reference_loop.config import Config
from reference_loop.execution import Execution
from reference_loop.monitor import Monitor
from reference_loop.resources import Access, order
from tests.perf import rounds

SIZES = [pytest.param(10, id="smoke"), pytest.param(2_000, id="full", marks=pytest.mark.perf)]


@pytest.mark.parametrize("repeats", SIZES)
@pytest.mark.parametrize("width", [1, 8, 64])
@pytest.mark.parametrize("way", ["bare", "ours"])
def test_round(benchmark: Any, way: str, width: int, repeats: int):
    """
    Rounds of calls that do nothing: the loop's execution, and what nobody can do without.
    """
    monitor, each = Monitor(), rounds.Noop()
    execution = Execution({"noop": each}, Approval(DEFAULT_APPROVAL, None, monitor), monitor, Config())
    calls = [ToolCall(id=f"c{number}", name="noop") for number in range(width)]

    async def play() -> int:
        delivered: list[Message | str] = []
        free = asyncio.Semaphore(8)
        for _ in range(repeats):
            if way == "ours":
                await execution.run_round(calls, delivered.append)
            else:
                delivered += await rounds.bare(calls, free, each)
        return len(delivered)

    assert repeats * width == benchmark.pedantic(lambda: asyncio.run(play()), rounds=3)
    benchmark.extra_info["per_call"] = repeats * width


@pytest.mark.parametrize("width", [8, pytest.param(128, marks=pytest.mark.perf)])
def test_analysis(benchmark: Any, width: int):
    """
    Finding out what each call of a round has to wait for.
    """
    accesses = [Access(("a",), ("b",) if number % 3 == 0 else ()) for number in range(width)]

    assert width == len(benchmark(order, accesses))


def test_report():
    """
    The report's exact targets hold at a small size.
    """
    unequal = rounds.in_virtual_time(rounds.count_unequal(100, seed=3))
    assert [0, 0, 0] == [unequal[what] for what in ("results", "states", "histories")]

    targets, tables = rounds.makespans(30)
    assert all(target.holds for target in targets if "mean" not in target.what)
    assert "sequential" in tables[1]

    assert all(target.holds for target in rounds.cancelling(50)[1:])
    assert all(target.holds for target in rounds.auditing())
