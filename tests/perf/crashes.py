"""Kills processes that keep runs, cuts their power, and damages their files: is every acknowledged run there, whole?"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from looprig.store import StoreError, open_store
from looprig.store.sqlite import SQLite
from tests.perf.crash_records import record
from tests.perf.crashing import work
from tests.perf.damage import FINE, IN_MEMORY, damage_files
from tests.perf.power import cuts, operations
from tests.perf.targets import Section, Target, report, table

SHIM = Path(__file__).with_name("crash_shim.c")

SAVED = 3
KEPT = 2
"""What the process that is crashed everywhere does: make a store, save three runs, remove all but two."""


def acknowledged(folder: Path) -> set[str]:
    """Return the words that a process said; a last one that was torn is none."""
    file = folder / "acknowledged"
    said = file.read_text() if file.exists() else ""
    return set(said[: said.rfind("\n") + 1].split())


def problems(folder: Path, said: set[str], since: int = 1) -> list[str]:
    """Return what is wrong with a store, by what was acknowledged of it; runs before *since* are only counted."""
    try:
        with open_store(folder / "history.db") as store:
            store.check()
            there = {run.id for run in store.runs()}
            wrong = [number for number in there if number >= since and store.load(number) != record(number)]
    except StoreError as error:
        return [_not_open(error, folder)]
    kept = {int(word) for word in said if word != "pruned"}
    # While runs are being removed, some may be gone: all of those that were to go, or none.
    gone = set(range(1, SAVED - KEPT + 1)) if len(kept) >= SAVED and since == 1 else set()
    found = {
        "an acknowledged run is lost": bool(kept - there - gone) or bool(gone & there and gone - there),
        "a run is not what was saved": bool(wrong),
        "a run came from nowhere": bool(there - set(range(1, max(kept, default=0) + 2))),
        "a removed run is back": "pruned" in said and bool(gone & there),
    }
    return [problem for problem, is_so in found.items() if is_so]


def _not_open(error: StoreError, folder: Path) -> str:
    return f"it does not open: {error}".replace(f"{folder}/", "")


def in_a_child(act: Callable[[], None]) -> int:
    """Act in a forked process; return its exit status, negative for the signal that killed it."""
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            act()
            code = 0
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at_random(count: int, seed: int) -> tuple[int, int, Counter[str]]:
    """Let *count* processes go on with one store, each killed after a random time.

    Returns how many ended by that, the runs that are there, and problems.
    """
    rng = random.Random(seed)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder, runs, killed = Path(name), 0, 0
        open_store(folder / "history.db").close()
        for _ in range(count):
            first = runs + 1
            child = os.fork()
            if child == 0:
                with contextlib.suppress(BaseException):
                    work(folder, first, 10_000)
                os._exit(1)
            time.sleep(rng.uniform(0.0, 0.08))
            os.kill(child, signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            killed += status == -signal.SIGKILL
            found.update(_since(folder, first))
            with open_store(folder / "history.db") as store:
                runs = max((run.id for run in store.runs(last=1)), default=0)
        found.update(_since(folder, 1))
    return killed, runs, found


def _since(folder: Path, first: int) -> list[str]:
    """Return problems of the runs from *first* on, and whether one before them is gone."""
    said = {int(word) for word in acknowledged(folder)}
    try:
        with open_store(folder / "history.db") as store:
            store.check()
            there = [run.id for run in store.runs()]
            wrong = any(store.load(number) != record(number) for number in there if number >= first)
    except StoreError as error:
        return [_not_open(error, folder)]
    lost = bool(said - set(there)) or there != list(range(1, len(there) + 1))
    return ["an acknowledged run is lost"] * lost + ["a run is not what was saved"] * wrong


class _Crashing(SQLite):
    """Ends its process at the n-th thing that the store asks of it: before it, or right after."""

    left = 0
    after = False

    def _count(self, act: Callable[[], Any]) -> Any:
        cls = type(self)
        cls.left -= 1
        if cls.left == 0 and not cls.after:
            os._exit(9)
        found = act()
        if cls.left == 0:
            os._exit(9)
        return found

    def _prepare(self, until: float) -> None:
        self._count(lambda: SQLite._prepare(self, until))

    def _transaction(self, begin: str) -> AbstractContextManager[None]:
        return self._counted(SQLite._transaction(self, begin))

    @contextlib.contextmanager
    def _counted(self, transaction: AbstractContextManager[None]) -> Iterator[None]:
        self._count(transaction.__enter__)
        try:
            yield
        except BaseException:
            transaction.__exit__(*sys.exc_info())
            raise
        self._count(lambda: transaction.__exit__(None, None, None))

    def rows(self, *given: Any) -> Any:
        return self._count(lambda: SQLite.rows(self, *given))

    def change(self, *given: Any) -> None:
        self._count(lambda: SQLite.change(self, *given))

    def insert(self, *given: Any) -> int:
        return int(self._count(lambda: SQLite.insert(self, *given)))

    def close(self) -> None:
        self._count(lambda: SQLite.close(self))


def crash_everywhere(step: int = 1) -> tuple[int, Counter[str]]:
    """End the process before and after each thing that the store asks of the database; return how many, and problems.

    Before and after what it asks for n = 1, 2, 3 ..., until a process comes to its end.
    """
    import looprig.store.sqlite as module

    found: Counter[str] = Counter()
    crashes = 0
    for after in (False, True):
        number = 1
        while True:
            with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
                folder = Path(name)

                def act(folder: Path = folder, number: int = number, after: bool = after) -> None:
                    _Crashing.left, _Crashing.after = number, after
                    module.SQLite = _Crashing  # type: ignore[misc]
                    work(folder, 1, SAVED, KEPT)

                status = in_a_child(act)
                if status == 0:
                    break
                found.update([f"a process ended by itself with {status}"] if status != 9 else [])
                found.update(problems(folder, acknowledged(folder)))
                found.update(_goes_on(folder))
            crashes += 1
            number += step
    return crashes, found


def _goes_on(folder: Path) -> list[str]:
    """Return whether a store that was crashed keeps the next run."""
    with open_store(folder / "history.db") as store:
        number = store.save(record(99))
        return [] if store.load(number) == record(99) else ["the next run is not kept"]


def compiled(folder: Path) -> Path | None:
    """Compile what sits between SQLite and the system; None where there is no compiler."""
    library = folder / "shim.so"
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return library


def under_the_shim(library: Path, folder: Path, variables: Mapping[str, str]) -> int:
    """Run the process that is crashed, with its file operations counted; return its exit status."""
    words = [sys.executable, "-m", "tests.perf.crashing", str(folder), "1", str(SAVED), str(KEPT)]
    env = {**os.environ, "CRASH_FOLDER": str(folder), "LD_PRELOAD": str(library), **variables}
    return subprocess.run(words, env=env, check=False, stderr=subprocess.DEVNULL).returncode


def crash_at_file_operations(step: int = 1) -> tuple[int, Counter[str]]:
    """Kill the process before each of its writes, syncs and removals, and in the middle of each write."""
    found: Counter[str] = Counter()
    crashes = 0
    with tempfile.TemporaryDirectory() as tools:
        library = compiled(Path(tools))
        if library is None:
            return 0, found
        for torn in (False, True):
            number = 1
            while True:
                with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
                    folder = Path(name)
                    torn_too = {"CRASH_TORN": "1"} if torn else {}
                    status = under_the_shim(library, folder, {"CRASH_AT": str(number), **torn_too})
                    if status == 0:
                        break
                    found.update([f"a process ended by itself with {status}"] if status != -9 else [])
                    found.update(problems(folder, acknowledged(folder)))
                    found.update(_goes_on(folder))
                crashes += 1
                number += step
    return crashes, found


def cut_the_power(tries: int, seed: int, synced: bool = True) -> tuple[int, Counter[str]]:
    """Cut the power before each file operation, *tries* times; return how many cuts, and problems.

    Without *synced*, syncs are left out: a store that does not sync, which has to lose runs here.
    """
    rng = random.Random(seed)
    found: Counter[str] = Counter()
    number = 0
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        library = compiled(Path(name))
        if library is None:
            return 0, found
        log, live = Path(name, "log"), Path(name, "live")
        live.mkdir()
        assert not under_the_shim(library, live, {"CRASH_LOG": str(log)})
        done = [each for each in operations(log) if synced or each.kind != "s"]
        for disk, said in cuts(done):
            for _ in range(tries):
                with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
                    for file, content in disk.after_a_cut(rng).items():
                        if not file.endswith("-shm"):  # shared memory, which no disk keeps
                            Path(folder, file).write_bytes(content)
                    found.update(problems(Path(folder), said))
                number += 1
    return number, found


def listed(*found: Counter[str]) -> list[str]:
    """Return a Markdown list of what went wrong, if anything."""
    lines = [f"- {problem}: {number}" for each in found for problem, number in each.items()]
    return ["\n".join(lines)] if lines else []


def kills() -> Section:
    """Kill processes at random points."""
    started = time.perf_counter()
    killed, runs, found = kill_at_random(200, seed=1)
    bad = sum(found.values())
    targets = [
        Target(
            "processes killed with SIGKILL after a random time, all writing to one store",
            f"{killed}",
            "200",
            killed == 200,
        ),
        Target(f"of {runs:,} runs lost, half there or changed; times it did not open", f"{bad}", "0", bad == 0),
    ]
    seconds = f"{time.perf_counter() - started:.0f} s."
    return Section("Killed while runs are written", COMMAND, targets, [*listed(found), seconds])


def crashes() -> Section:
    """Crash at every operation."""
    asked, first = crash_everywhere()
    files, second = crash_at_file_operations()
    bad = sum(first.values()) + sum(second.values())
    targets = [
        Target("ended before and after everything that the store asks of SQLite", f"{asked} points", "each", asked > 0),
        Target(
            "killed before each file operation, and in the middle of each write", f"{files} points", "each", files > 0
        ),
        Target("runs lost, half there, changed or back; times it did not open or go on", f"{bad}", "0", bad == 0),
    ]
    about = (
        f"A process makes a store, saves {SAVED} runs, removes all but {KEPT}; each time it comes one point further."
    )
    return Section("A crash at every operation", COMMAND, targets, [about, *listed(first, second)])


def power() -> Section:
    """Cut the power, with and without the syncs."""
    number, found = cut_the_power(8, seed=1)
    control, lost = cut_the_power(2, seed=1, synced=False)
    bad, shown = sum(found.values()), sum(lost.values())
    targets = [
        Target("power cuts: of what was not synced, any sectors are there", f"{number}", "each operation", number > 0),
        Target("acknowledged runs lost, half there or changed; times it did not open", f"{bad}", "0", bad == 0),
        Target(f"the same without the syncs, {control} cuts: the check can fail", f"{shown}", "above 0", shown > 0),
    ]
    about = "Played again from every write, sync and removal of the process above, as they were handed to the system."
    return Section("A power cut at every operation", COMMAND, targets, [about, *listed(found)])


def damage() -> Section:
    """Damage files."""
    outcomes = damage_files(2000, seed=1)
    total: Counter[str] = sum(outcomes.values(), Counter())
    bad = sum(number for outcome, number in total.items() if outcome not in FINE)
    targets = [
        Target("damaged files", f"{sum(total.values()):,}", "2,000", sum(total.values()) >= 2000),
        Target("tracebacks, wrong runs, runs missing without a word, salvages that fail", f"{bad}", "0", bad == 0),
    ]
    names = [*FINE, *sorted(set(total) - set(FINE))]
    rows = [[kind, *(found[name] for name in names)] for kind, found in outcomes.items()]
    about = (
        "Each is looked at with `looprig history runs` and `looprig history show`, then run by run, and salvaged where "
        "it is refused. A log that is damaged ends where the damage begins: what SQLite finds then is the store as it "
        "was some runs before, which nobody can tell from a store that never had them."
    )
    return Section("Damaged files", COMMAND, targets, [about, table(["damage", *names], rows)])


COMMAND = ".venv/bin/python -m tests.perf.crashes"

if __name__ == "__main__":
    report(
        "The store: crashes, power cuts and damage",
        f"`make crashes` prints this: `{COMMAND}`.",
        ["Every run is decided by its number, so that each one that comes back is compared with what was saved."],
        [kills, crashes, power, damage],
    )
