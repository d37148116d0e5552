"""What saving a session costs, under pytest-benchmark: a smoke size in every run, the full size with ``-m perf``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from reference_loop import Config, MockModel, ReferenceLoop
from reference_loop.history import History
from reference_loop.persistence import Journal

SIZES = [pytest.param(20, id="smoke"), pytest.param(2_000, id="full", marks=pytest.mark.perf)]


def talk(turns: int, **options: Any) -> int:
    """Say so many plain turns; return how many messages are remembered."""

    async def say() -> int:
        loop = ReferenceLoop(MockModel(), {}, Config(policy="never", **options))
        for _ in range(turns):
            await loop.send("hello")
        loop.close()
        return len(loop.history)

    return asyncio.run(say())


@pytest.mark.parametrize("turns", SIZES)
@pytest.mark.parametrize("saved", [False, True], ids=["in memory", "saved"])
def test_turns(benchmark: Any, tmp_path: Path, turns: int, saved: bool):
    """
    Turns with and without a session's file; each saved turn is synced to the disk once.
    """
    numbers = iter(range(1_000_000))

    def play() -> int:
        return talk(turns, journal=str(tmp_path / f"{next(numbers)}") if saved else "")

    assert 2 * turns == benchmark.pedantic(play, rounds=3)


@pytest.mark.parametrize("turns", SIZES)
def test_opening(benchmark: Any, tmp_path: Path, turns: int):
    """
    A session is opened by reading each of its lines once.
    """
    talk(turns, journal=str(tmp_path / "s"))

    def open_again() -> int:
        journal, history = Journal(tmp_path / "s"), History(Config(policy="never").new_policy())
        assert not journal.restore(history)
        journal.close()
        return len(history)

    assert 2 * turns == benchmark.pedantic(open_again, rounds=3)
