"""Runs a party's process under callgrind, and reads its counts."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from looprig.counted.process import ask
from looprig.home import Party
from looprig.instructions.client import machine_known
from looprig.subject import LoopError

WORKER = "looprig.instructions.worker"


def missing() -> str | None:
    """Return why instructions cannot be counted here, and what to do; None where they can."""
    if not machine_known():
        return "instructions are counted on Linux alone, on x86-64 and aarch64"
    if shutil.which("valgrind") is None:
        return "valgrind is not installed, so instructions are not counted: apt-get install valgrind"
    return None


@dataclass(frozen=True, slots=True)
class Window:
    """What is counted: so many plays of a scenario (by its number), in parts that end before the turns *stops*."""

    scenario: int
    plays: int = 1
    stops: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """The instructions of each part of a window, and whether the loop's ``send`` is a coroutine."""

    parts: tuple[int, ...]
    coroutine: bool


def count(party: Party, packed: Sequence[bytes], windows: Sequence[Window], hash_seed: int) -> list[Count]:
    """Count the *windows* in one process.

    Raises:
        LoopError: where the loop cannot be had or played, or does not run under valgrind.
    """
    with tempfile.TemporaryDirectory(prefix="looprig-") as folder:
        under = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={folder}/out.%p",
            f"--log-file={folder}/log.%p",
        ]
        question = {"windows": [asdict(window) for window in windows]}
        told = ask(party, WORKER, question, packed, hash_seed=hash_seed, under=under)["windows"]
        return [Count(tuple(_totals(Path(folder), each)), each["coroutine"]) for each in told]


def _totals(folder: Path, window: Mapping[str, Any]) -> Iterator[int]:
    for part in range(1, window["parts"] + 1):
        name = f"out.{window['pid']}.{part}"
        text = (folder / name).read_text(errors="replace") if (folder / name).exists() else ""
        found = re.search(r"^totals: (\d+)", text, re.MULTILINE)
        if found is None:
            raise LoopError(f"callgrind wrote no total into its file {name}; was the turn of this part ever reached?")
        yield int(found[1])
