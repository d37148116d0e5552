"""The store: every run is kept, as a whole or not at all, in SQLite or PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import msgspec

from looprig.store.database import Database
from looprig.store.errors import StoreDamaged, StoreError, StoreForeign
from looprig.store.record import Part, RunRecord, digest, encoded, machine_key, storable
from looprig.store.schema import MIGRATIONS, VERSION
from looprig.store.series import Series, series_of

T = TypeVar("T")

DEFAULT = Path(".looprig/history.db")

SERVERS = ("postgresql://", "postgres://", "postgresql+psycopg://")

RUNS = "select id, at, kind, verdict, revision, dirty, machine, parts, record, digest from looprig_run"
PARTS = "select run_id, number, scenario, loop, record, digest from looprig_part"
NEW_RUN = """insert into looprig_run (at, kind, verdict, revision, dirty, machine, parts, record, digest)
    values (:at, :kind, :verdict, :revision, :dirty, :machine, :parts, :record, :digest)"""
NEW_PART = """insert into looprig_part (run_id, number, scenario, loop, record, digest)
    values (:run_id, :number, :scenario, :loop, :record, :digest)"""


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a run without its parts: its number in the store, and its record without parts."""

    id: int
    machine: str
    parts: int
    record: RunRecord


class _PartRow(NamedTuple):
    run: int
    number: int
    scenario: str
    loop: str
    record: str


class Store:
    """The runs of one place, oldest first; each has a number that is never given again.

    Every method raises `StoreError` where the database cannot be used, and `StoreDamaged` where what comes out is
    not what was saved.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._migrate()

    @property
    def name(self) -> str:
        """Where the store is, as people read it; without a password."""
        return self._database.name

    def save(self, record: RunRecord) -> int:
        """Keep a run; return its number. Once this returns, the run is on the disk."""
        record = storable(record)
        run = _run_columns(record)
        with self._database.writing():
            number = self._database.insert(NEW_RUN, run)
            rows = [_part_columns(number, index, part) for index, part in enumerate(record.parts)]
            if rows:
                self._database.change(NEW_PART, rows)
        return number

    def has(self, record: RunRecord) -> int | None:
        """Return the number of a run that is *record* to the last value; None where there is none."""
        columns = _run_columns(storable(record))
        with self._database.reading():
            found = self._runs("where digest = :digest order by id", {"digest": columns["digest"]})
        same = (run.id for run in found if self.load(run.id) == storable(record))
        return next(same, None)

    def load(self, number: int) -> RunRecord:
        """Return a run as it was saved.

        Raises:
            KeyError: where there is no such run.
        """
        with self._database.reading():
            runs = self._runs("where id = :id", {"id": number})
            if not runs:
                raise KeyError(f"there is no run {number} in {self.name}; `looprig history runs` lists them")
            found = self._parts("where run_id = :id", {"id": number})
        self._whole(runs[0], len(found))
        return msgspec.structs.replace(runs[0].record, parts=tuple(self._decoded(row.record, Part) for row in found))

    def runs(self, *, kind: str | None = None, revision: str | None = None, last: int | None = None) -> list[Run]:
        """Return the newest *last* runs (None: all), oldest first: of one command, of revisions that begin so."""
        with self._database.reading():
            return self._chosen(kind, revision, last)

    def series(
        self,
        scenario: str | None = None,
        metric: str | None = None,
        loop: str | None = None,
        *,
        last: int | None = None,
    ) -> list[Series]:
        """Return how metrics went over the newest *last* runs, sorted by scenario and loop.

        What is not exact is a series of its own for each kind of machine; parts with another setup never share one.
        """
        with self._database.reading():
            runs = self._chosen(None, None, last)
            found = self._parts("where run_id >= :first", {"first": runs[0].id}) if runs else []
        counts = Counter(row.run for row in found)
        for run in runs:
            self._whole(run, counts[run.id])
        wanted = [
            (row.run, self._decoded(row.record, Part))
            for row in found
            if scenario in (None, row.scenario) and loop in (None, row.loop)
        ]
        return series_of({run.id: (run.record, run.machine) for run in runs}, wanted, metric)

    def prune(self, *, keep: int | None = None, before: str | None = None, dry: bool = False) -> list[Run]:
        """Remove all but the newest *keep* runs, or those from before a time; return them. With *dry*, only say so."""
        with self._database.writing():
            runs = self._chosen(None, None, None)
            gone = runs[: max(0, len(runs) - keep)] if keep is not None else runs
            gone = [run for run in gone if before is None or run.record.at < before]
            if keep is None and before is None:
                gone = []
            if not dry:
                self.remove(run.id for run in gone)
        if gone and not dry:
            self._database.shrink()
        return gone

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove runs; inside of a transaction."""
        rows = [{"id": number} for number in numbers]
        if rows:
            self._database.change("delete from looprig_part where run_id = :id", rows)
            self._database.change("delete from looprig_run where id = :id", rows)

    def check(self) -> None:
        """Look through the whole file for damage; what is read of a run is checked whenever it is read."""
        if (problem := self._database.problem()) is not None:
            raise self._damaged(problem)

    def close(self) -> None:
        """Close the store; it may be closed twice."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _migrate(self) -> None:
        """Bring the tables to this version, step by step; a step that fails leaves the version before it."""
        with self._database.reading():
            version = self._database.version()
        if version < 0:
            raise self._damaged(f"its version is {version}")
        for number in range(version, VERSION):
            with self._database.writing():
                if self._database.version() != number:
                    continue  # another process was quicker
                for statement in MIGRATIONS[number]:
                    self._database.change(statement.format(serial=self._database.serial))
                self._database.set_version(number + 1)
        if version > VERSION:
            raise StoreForeign(
                f"the store {self.name} has version {version}, and this looprig knows versions up to {VERSION}: "
                "a newer looprig made it; use that one, or name another store with --store"
            )

    def _chosen(self, kind: str | None, revision: str | None, last: int | None) -> list[Run]:
        given = {"kind": kind, "revision": revision}
        tests = {"kind": "kind = :kind", "revision": "substr(revision, 1, length(:revision)) = :revision"}
        where = " and ".join(tests[name] for name, value in given.items() if value is not None)
        limit = "" if last is None else f" limit {int(last)}"
        chosen = {name: value for name, value in given.items() if value is not None}
        return self._runs(f"{'where ' + where if where else ''} order by id desc{limit}", chosen)[::-1]

    def _runs(self, rest: str, parameters: Mapping[str, Any]) -> list[Run]:
        found = []
        for row in self._database.rows(f"{RUNS} {rest}", parameters):
            number, *columns, record, seal = row
            if digest(*columns, record) != seal:
                raise self._damaged(f"run {number} is not what was saved")
            found.append(Run(number, str(columns[5]), int(columns[6]), self._decoded(record, RunRecord)))
        return found

    def _parts(self, rest: str, parameters: Mapping[str, Any]) -> list[_PartRow]:
        found = []
        for *columns, seal in self._database.rows(f"{PARTS} {rest} order by run_id, number", parameters):
            if digest(*columns) != seal:
                raise self._damaged(f"part {columns[1]} of run {columns[0]} is not what was saved")
            found.append(_PartRow(*columns))
        return found

    def _whole(self, run: Run, parts: int) -> None:
        if parts != run.parts:
            raise self._damaged(f"run {run.id} has {parts} of its {run.parts} parts")

    def _decoded(self, record: str, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(record, type=kind)
        except msgspec.DecodeError as error:
            # Its digest is right, so this is what was saved: by a looprig that knew more.
            raise StoreError(
                f"the store {self.name} holds a run that this looprig cannot read: {error}; use a newer looprig"
            ) from error

    def _damaged(self, why: str) -> StoreDamaged:
        return StoreDamaged(f"the store {self.name} is damaged: {why}; {self._database.remedy}")


def open_store(where: str | Path = DEFAULT, *, make: bool = True) -> Store:
    """Open the store at a path or a ``postgresql://`` address; make it where there is none.

    Raises:
        StoreMissing: where there is no file, and *make* is not set.
        StoreError: where it cannot be opened, or a newer looprig made it.
    """
    database = _database(where, make)
    try:
        return Store(database)
    except BaseException:
        database.close()
        raise


def _database(where: str | Path, make: bool) -> Database:
    if is_server(where):
        from looprig.store.postgres import Postgres

        return Postgres(str(where))
    from looprig.store.sqlite import SQLite

    check_address(where)
    return SQLite(Path(where), make=make)


def check_address(where: str | Path) -> None:
    """Raise StoreError where *where* is an address, but of nothing that a store can be on."""
    if "://" in str(where) and not is_server(where):
        scheme = str(where).partition("://")[0]
        raise StoreError(f"a store is a file, or an address that begins with postgresql://, not with {scheme}://")


def is_server(where: str | Path) -> bool:
    """Whether a store's place is the address of a server."""
    return str(where).startswith(SERVERS)


def _run_columns(record: RunRecord) -> dict[str, Any]:
    columns = {
        "at": record.at,
        "kind": record.kind,
        "verdict": record.verdict,
        "revision": record.revision,
        "dirty": None if record.dirty is None else int(record.dirty),
        "machine": machine_key(record.machine),
        "parts": len(record.parts),
        "record": encoded(msgspec.structs.replace(record, parts=())),
    }
    return {**columns, "digest": digest(*columns.values())}


def _part_columns(number: int, index: int, part: Part) -> dict[str, Any]:
    columns = {"run_id": number, "number": index, "scenario": part.scenario, "loop": part.loop, "record": encoded(part)}
    return {**columns, "digest": digest(*columns.values())}
