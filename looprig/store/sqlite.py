"""The store in a file, by the standard library's SQLite."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from looprig.store.database import Parameters
from looprig.store.errors import StoreDamaged, StoreError, StoreForeign, StoreMissing

APPLICATION = 0x4C524947
"""Written into each file's header ("LRIG"), so that another program's database is never taken for a store."""

WAIT_S = 30.0
"""How long to wait for another process that is writing."""


SURROUNDINGS = tuple(
    f"SQLITE_{name}"
    for name in ("BUSY", "LOCKED", "FULL", "IOERR", "READONLY", "CANTOPEN", "PERM", "PROTOCOL", "NOLFS")
)
"""What SQLite calls errors of the disk and of other processes. All others come from what is in the file, since the
statements are ours and right."""


class SQLite:
    """A file with one connection to it. A commit is on the disk when it returns (WAL, synchronous FULL)."""

    serial = "integer primary key autoincrement"
    remedy = "`looprig history salvage` keeps what can be read"

    def __init__(self, path: Path, *, make: bool = True, wait_s: float = WAIT_S) -> None:
        self._path = path
        if make:
            _make_folder(path)
        elif not path.exists():
            raise StoreMissing(f"there is no history yet at {path}; `looprig run` keeps every run there")
        with self._told("opened"):
            self._connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None)
        try:
            with self._told("opened"):
                self._prepare(time.monotonic() + wait_s)
        except BaseException:
            self._connection.close()
            raise

    @property
    def name(self) -> str:
        return str(self._path)

    def _prepare(self, until: float) -> None:
        """Look whose file it is before anything is changed in it, and make commits durable."""
        with self.reading():  # in one look: another process may be making the tables at this moment
            (tables,) = self._connection.execute("select count(*) from sqlite_master").fetchone()
            (application,) = self._connection.execute("pragma application_id").fetchone()
        if application != APPLICATION and (application or tables):
            raise StoreForeign(f"{self._path} is a database of another program; name another file with --store FILE")
        while True:
            try:
                self._connection.execute("pragma journal_mode = wal")
                break
            except sqlite3.OperationalError as error:
                # SQLite does not wait for its turn here, as it does everywhere else.
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)
        self._connection.execute("pragma synchronous = full")
        self._connection.execute("pragma foreign_keys = on")

    def reading(self) -> AbstractContextManager[None]:
        return self._transaction("begin")

    def writing(self) -> AbstractContextManager[None]:
        return self._transaction("begin immediate")  # to wait for its turn now, and not fail in the middle

    def _transaction(self, begin: str) -> AbstractContextManager[None]:
        return self._between(begin, "commit")

    @contextmanager
    def _between(self, begin: str, end: str) -> Iterator[None]:
        with self._told("written" if "immediate" in begin else "read"):
            self._connection.execute(begin)
            try:
                yield
                self._connection.execute(end)
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("rollback")
                raise

    def rows(self, sql: str, parameters: Parameters | None = None) -> Sequence[Sequence[Any]]:
        with self._told("read"):
            return self._connection.execute(sql, parameters or {}).fetchall()

    def change(self, sql: str, parameters: Parameters | Sequence[Parameters] | None = None) -> None:
        with self._told("written"):
            if isinstance(parameters, Sequence):
                self._connection.executemany(sql, parameters)
            else:
                self._connection.execute(sql, parameters or {})

    def insert(self, sql: str, parameters: Parameters) -> int:
        with self._told("written"):
            number = self._connection.execute(sql, parameters).lastrowid
        assert number is not None
        return number

    def version(self) -> int:
        (version,) = self.rows("pragma user_version")[0]
        return int(version)

    def set_version(self, version: int) -> None:
        self.change(f"pragma application_id = {APPLICATION}")
        self.change(f"pragma user_version = {version}")

    def problem(self) -> str | None:
        (found,) = self.rows("pragma quick_check (1)")[0]
        return None if found == "ok" else str(found).partition("\n")[2] or str(found)

    def shrink(self) -> None:
        self.change("vacuum")

    def close(self) -> None:
        with suppress(sqlite3.Error):  # what was committed is on the disk; tidying up is left to whoever opens it next
            self._connection.close()

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        """Say in words what SQLite refuses: a busy or full disk is another matter than a damaged file."""
        try:
            yield
        except (sqlite3.Error, OverflowError, MemoryError) as error:
            # A length that a disk has changed may ask for more memory than there is.
            if getattr(error, "sqlite_errorname", "").startswith(SURROUNDINGS):
                raise StoreError(f"the store {self._path} cannot be {done}: {error}; {_advice(error)}") from error
            raise StoreDamaged(f"the store {self._path} is damaged: {error}; {self.remedy}") from error


def _advice(error: Exception) -> str:
    if "locked" in str(error):
        return "another process has been writing to it for long; try again when that is done"
    return "look at the disk and the file's permissions, or name another file with --store FILE"


def _make_folder(path: Path) -> None:
    """Make the file's folder; looprig's own is kept out of version control, as pytest does with its cache."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.name == ".looprig" and not (mark := path.parent / ".gitignore").exists():
            mark.write_text("*\n")
    except OSError as error:
        raise StoreError(
            f"the store {path} cannot be made: {error.strerror}; name another file with --store FILE"
        ) from error
