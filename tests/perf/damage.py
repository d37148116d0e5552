"""Damages database files in every way that a disk, a copy or an editor does, and looks at what a user is told."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from click.testing import CliRunner

from looprig.cli import UsageProblem, cli
from looprig.exits import Exit
from looprig.store import RunRecord, StoreError, open_store
from looprig.store.salvage import salvage
from tests.perf.crash_records import record

RUNS = 20

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a sync costs nothing: what happens to a file afterwards is what is looked at here."""


def flip_bits(data: bytearray, rng: random.Random) -> None:
    """Turn one to three bits over."""
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut_off(data: bytearray, rng: random.Random) -> None:
    """End the file anywhere."""
    del data[rng.randrange(len(data)) :]


def zero_a_page(data: bytearray, rng: random.Random) -> None:
    """Fill a page with zeros."""
    page = rng.randrange(len(data) // 4096) * 4096
    data[page : page + 4096] = bytes(4096)


def random_page(data: bytearray, rng: random.Random) -> None:
    """Fill a page with anything."""
    page = rng.randrange(len(data) // 4096) * 4096
    data[page : page + 4096] = rng.randbytes(4096)


def page_of_another_place(data: bytearray, rng: random.Random) -> None:
    """Write a page over another one."""
    source, target = (rng.randrange(len(data) // 4096) * 4096 for _ in range(2))
    data[target : target + 4096] = data[source : source + 4096]


def wrong_header(data: bytearray, rng: random.Random) -> None:
    """Change some bytes of the first hundred."""
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(100)] = rng.randrange(256)


def new_line_ends(data: bytearray, rng: random.Random) -> None:
    """Do what a transfer as text does."""
    data[:] = data.replace(b"\n", b"\r\n")


DAMAGES: Mapping[str, Callable[[bytearray, random.Random], None]] = {
    "bits turned over": flip_bits,
    "cut off": cut_off,
    "a page of zeros": zero_a_page,
    "a page of noise": random_page,
    "a page from another place": page_of_another_place,
    "a wrong header": wrong_header,
    "new line ends": new_line_ends,
}
LOG_DAMAGES = ("bits turned over", "cut off", "a page of noise")
"""What is also done to a write-ahead log that was not yet brought into the file."""


def saved(number: int) -> RunRecord:
    """Return the run that has this number in a sound file; runs are of several sizes, up to several pages."""
    return record(number, parts=2 + number % 3, metrics=2 + 5 * (number % 3))


def sound(folder: Path) -> tuple[bytes, bytes, bytes]:
    """Return a whole file, and one with the newest runs still in its log, with that log."""
    path = folder / "sound.db"
    with open_store(path) as store:
        for number in range(1, RUNS // 2 + 1):
            store.save(saved(number))
    with open_store(path) as store:
        for number in range(RUNS // 2 + 1, RUNS + 1):
            store.save(saved(number))
        older, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    return path.read_bytes(), older, log


def read_all(path: Path) -> list[int]:
    """Read every run as `looprig history` does; return their numbers; AssertionError where one is another."""
    with open_store(path, make=False) as store:
        store.check()
        numbers = [run.id for run in store.runs()]
        store.series()
        for number in numbers:
            assert saved(number) == store.load(number), f"run {number} is not what was saved"
    return numbers


def what_is_said(words: list[str]) -> str:
    """Return "ok", "said" for an error in words, or what a user must never see."""
    result = CliRunner().invoke(cli, words, standalone_mode=False)
    if result.exception is None or isinstance(result.exception, SystemExit):
        return "ok" if result.return_value in (None, Exit.PASSED) else "said"
    if isinstance(result.exception, UsageProblem):
        return "said" if "\n" not in result.exception.message else "an error of several lines"
    return f"a traceback: {result.exception!r}"


def one_file(folder: Path, data: bytes, log: bytes) -> str:
    """Return what became of one damaged file: read as it was, or refused and salvaged, or what must never be."""
    path = folder / "history.db"
    path.write_bytes(data)
    if log:
        Path(f"{path}-wal").write_bytes(log)
    said = [what_is_said(["history", *words, "--store", str(path)]) for words in (["runs"], ["show"])]
    if any(each not in ("ok", "said") for each in said):
        return next(each for each in said if each not in ("ok", "said"))
    try:
        numbers = read_all(path)
    except AssertionError as error:
        return str(error)
    except StoreError:
        return _salvaged(path)
    if numbers == list(range(1, RUNS + 1)):
        return "read, nothing was hit"
    return "read without the newest runs" if log and numbers == list(range(1, len(numbers) + 1)) else "a run is missing"


def _salvaged(path: Path) -> str:
    """Return what the salvage of a refused file gives."""
    try:
        found = salvage(path)
    except StoreError:
        return "refused, nothing to salvage"
    try:
        kept = read_all(path)
    except StoreError as error:
        return f"not readable after its salvage: {error}"
    assert list(found.kept) == kept
    return "refused, all runs salvaged" if len(kept) == RUNS else "refused, some runs salvaged"


FINE = (
    "read, nothing was hit",
    "read without the newest runs",
    "refused, all runs salvaged",
    "refused, some runs salvaged",
    "refused, nothing to salvage",
)


def damage_files(count: int, seed: int) -> dict[str, Counter[str]]:
    """Damage *count* files; return what became of them, by kind of damage."""
    outcomes: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        whole, older, log = sound(Path(name))
        kinds = [(kind, False) for kind in DAMAGES] + [(kind, True) for kind in LOG_DAMAGES]
        for number in range(count):
            rng = random.Random(f"{seed}.{number}")
            kind, of_log = kinds[number % len(kinds)]
            damaged = bytearray(log if of_log else whole)
            DAMAGES[kind](damaged, rng)
            folder = Path(name, "one")
            folder.mkdir()
            outcome = one_file(folder, older, bytes(damaged)) if of_log else one_file(folder, bytes(damaged), b"")
            shutil.rmtree(folder)
            outcomes.setdefault(f"{kind}{', in the log' if of_log else ''}", Counter())[outcome] += 1
    return outcomes
