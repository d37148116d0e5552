"""What can be read of a damaged file: whole runs, as they were saved, into a new file."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looprig.store.errors import StoreDamaged, StoreError, StoreForeign, StoreMissing
from looprig.store.record import digest
from looprig.store.store import open_store

RUN_COLUMNS = ("id", "at", "kind", "verdict", "revision", "dirty", "machine", "parts", "record", "digest")
PART_COLUMNS = ("run_id", "number", "scenario", "loop", "record", "digest")

PAGE = 4096
ROWS_OF_A_PAGE = 64
"""More rows than this do not fit on a page: a digest alone has 32 bytes."""

HEADER: Mapping[int, bytes] = {
    0: b"SQLite format 3\0",
    16: PAGE.to_bytes(2, "big"),
    20: bytes([0, 64, 32, 32]),
    44: (4).to_bytes(4, "big"),
    52: bytes(4),
    56: (1).to_bytes(4, "big"),
    64: bytes(4),
    72: bytes(20),
}
"""What stands in the first hundred bytes of every file that a store makes, by its place (SQLite's file format, 1.3)."""

UNREADABLE = (sqlite3.Error, MemoryError, OverflowError)

Rows = dict[Any, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """The numbers of the runs that were kept, and of those of which something was found that is not whole.

    ``aside`` is where the damaged file lies now; None where nothing was wrong with it.
    """

    kept: Sequence[int]
    lost: Sequence[int]
    aside: Path | None


def salvage(path: Path) -> Salvaged:
    """Put a new store with every whole run of a damaged one in its place; keep the damaged file beside it.

    Raises:
        StoreMissing: where there is no such file.
        StoreError: where nothing can be read, or the new file cannot be written; the damaged one stays where it was.
    """
    if not path.exists():
        raise StoreMissing(f"there is no store at {path}")
    if (whole := _undamaged(path)) is not None:
        return Salvaged(whole, (), None)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".salvage-") as name:
            runs, parts = _readable(path, Path(name))
            kept, lost = _sorted_out(runs, parts)
            if not kept:
                raise StoreError(f"nothing can be read of {path}; it stays where it is: move it away to begin anew")
            new = Path(name, "new.db")
            _write(new, [runs[number] for number in kept], [row for key, row in parts.items() if key[0] in set(kept)])
            aside = _aside(path)
            new.replace(path)
    except OSError as error:
        raise StoreError(f"the store {path} cannot be salvaged: {error.strerror or error}; look at the disk") from error
    return Salvaged(kept, lost, aside)


def _undamaged(path: Path) -> list[int] | None:
    """Return the numbers of the runs where all is well with the file; None where it is damaged."""
    try:
        with open_store(path, make=False) as store:
            store.check()
            store.series()
            return [run.id for run in store.runs()]
    except (StoreDamaged, StoreForeign):  # a header that says so may be damaged
        return None


def _readable(path: Path, folder: Path) -> tuple[Rows, Rows]:
    """Return the rows that are what was saved, by number; read from a copy, first as it is, then with a new header."""
    copy = folder / "copy.db"
    for mend in (False, True):
        for end in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{end}", f"{copy}{end}")
        Path(f"{copy}-shm").unlink(missing_ok=True)
        if mend:
            _mend_header(copy)
        with closing(sqlite3.connect(copy)) as connection:
            runs = {row[0]: row for row in _rows(connection, copy, "looprig_run", RUN_COLUMNS) if _is_saved(row[1:])}
            parts = {row[:2]: row for row in _rows(connection, copy, "looprig_part", PART_COLUMNS) if _is_saved(row)}
        if runs:
            break
    return runs, parts


def _is_saved(row: Sequence[Any]) -> bool:
    try:
        return bool(digest(*row[:-1]) == row[-1])
    except UnicodeError:
        return False


def _mend_header(copy: Path) -> None:
    with copy.open("r+b") as file:
        header = bytearray(file.read(100).ljust(100, b"\0"))
        for place, right in HEADER.items():
            header[place : place + len(right)] = right
        header[18:20] = bytes([2, 2]) if Path(f"{copy}-wal").exists() else bytes([1, 1])
        header[28:32] = (copy.stat().st_size // PAGE).to_bytes(4, "big")
        header[92:96] = header[24:28]
        file.seek(0)
        file.write(header)


def _rows(connection: sqlite3.Connection, copy: Path, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield every row that can be read, each looked up by itself: a page that is broken takes its own rows only."""
    connection.text_factory = lambda data: data.decode(errors="surrogateescape")
    query = f"select {', '.join(columns)} from {table} where rowid = ?"  # noqa: S608 - names of ours
    try:
        connection.execute(f"{query} limit 0", (1,))
    except UNREADABLE:
        return  # the tables' own description cannot be read, so no row can
    for number in _numbers(connection, copy, table):
        with suppress(*UNREADABLE):
            row = connection.execute(query, (number,)).fetchone()
            if row is not None:
                yield row


def _numbers(connection: sqlite3.Connection, copy: Path, table: str) -> range:
    """Return the numbers that rows can have: from the first one to the last one that can be walked to.

    Where a way is broken at its very beginning, there are at most as many rows as fit into the file.
    """
    most = ROWS_OF_A_PAGE * (copy.stat().st_size // PAGE + 1)
    up, down = (_walk(connection, table, way) for way in ("asc", "desc"))
    first = min(up) if up else max(1, min(down) - most) if down else 1
    last = max(down) if down else max(up) + most if up else most
    return range(first, min(last, first + 1000 * most) + 1)


def _walk(connection: sqlite3.Connection, table: str, way: str) -> list[int]:
    """Return the rows' numbers up to the first break."""
    found: list[int] = []
    with suppress(*UNREADABLE):
        for (number,) in connection.execute(f"select rowid from {table} order by rowid {way}"):  # noqa: S608 - as above
            found.append(number)
    return found


def _sorted_out(runs: Rows, parts: Rows) -> tuple[list[int], list[int]]:
    """Return the runs that have all their parts, and those that do not."""
    kept = [
        number
        for number, row in sorted(runs.items())
        if all((number, index) in parts for index in range(row[RUN_COLUMNS.index("parts")]))
    ]
    seen = {*runs, *(run for run, _ in parts)}
    return kept, sorted(seen - set(kept))


def _write(new: Path, runs: Sequence[tuple[Any, ...]], parts: Sequence[tuple[Any, ...]]) -> None:
    open_store(new).close()
    with closing(sqlite3.connect(new)) as connection, connection:
        for table, columns, rows in (("looprig_run", RUN_COLUMNS, runs), ("looprig_part", PART_COLUMNS, parts)):
            places = ", ".join("?" * len(columns))
            connection.executemany(
                f"insert into {table} ({', '.join(columns)}) values ({places})",  # noqa: S608 - names of ours
                rows,
            )


def _aside(path: Path) -> Path:
    """Move the damaged file, and what SQLite keeps beside it, out of the way; its log must not meet the new file."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for end in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            Path(f"{path}{end}").rename(f"{aside}{end}")
    return aside
