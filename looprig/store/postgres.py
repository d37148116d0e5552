"""The store on a PostgreSQL server, through SQLAlchemy and psycopg: for a team that looks at one history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from looprig.store.database import Parameters
from looprig.store.errors import StoreError

LOCK = 0x4C524947
"""The number of the advisory lock that keeps two processes from making the tables at the same time."""

CONNECT_S = 10


class Postgres:
    """One connection to a server. A commit is as durable as the server's ``synchronous_commit`` makes it."""

    serial = "bigint generated always as identity primary key"
    remedy = "restore it from a backup of the server"

    def __init__(self, url: str) -> None:
        try:
            import sqlalchemy
        except ImportError as error:
            raise StoreError("a store on PostgreSQL needs further packages: pip install 'looprig[postgres]'") from error
        try:
            address = sqlalchemy.make_url(url).set(drivername="postgresql+psycopg")
            self.name = address.render_as_string(hide_password=True).replace("+psycopg", "")
            engine = sqlalchemy.create_engine(
                address, poolclass=sqlalchemy.NullPool, connect_args={"connect_timeout": CONNECT_S}
            )
        except ImportError as error:
            raise StoreError("a store on PostgreSQL needs further packages: pip install 'looprig[postgres]'") from error
        except (sqlalchemy.exc.ArgumentError, ValueError) as error:
            raise StoreError("the store's address must read postgresql://USER@HOST:PORT/DATABASE") from error
        self._failure = sqlalchemy.exc.SQLAlchemyError
        self._text = sqlalchemy.text
        with self._told("opened"):
            self._connection = engine.connect()

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._transaction("read"):
            self.change("set transaction isolation level repeatable read, read only")
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._transaction("written"):
            self.rows("select pg_advisory_xact_lock(:lock)", {"lock": LOCK})
            yield

    @contextmanager
    def _transaction(self, done: str) -> Iterator[None]:
        # An error of the block passes through `_told` unchanged; one of the commit gets its words there.
        with self._told(done), self._connection.begin():
            yield

    def rows(self, sql: str, parameters: Parameters | None = None) -> Sequence[Sequence[Any]]:
        with self._told("read"):
            return self._connection.execute(self._text(sql), parameters).fetchall()

    def change(self, sql: str, parameters: Parameters | Sequence[Parameters] | None = None) -> None:
        with self._told("written"):
            self._connection.execute(self._text(sql), parameters)

    def insert(self, sql: str, parameters: Parameters) -> int:
        return int(self.rows(f"{sql} returning id", parameters)[0][0])

    def version(self) -> int:
        # By a query: to_regclass may answer from a cache that is older than the lock that was waited for.
        (there,) = self.rows(
            "select count(*) from pg_tables where tablename = 'looprig_version' "
            "and schemaname = any (current_schemas(false))"
        )[0]
        return int(self.rows("select version from looprig_version")[0][0]) if there else 0

    def set_version(self, version: int) -> None:
        self.change("create table if not exists looprig_version (version integer not null)")
        self.change("delete from looprig_version")
        self.change("insert into looprig_version (version) values (:version)", {"version": version})

    def problem(self) -> str | None:
        return None  # the server looks after its own disk

    def shrink(self) -> None:
        """The server does that by itself."""

    def close(self) -> None:
        with suppress(self._failure):
            self._connection.close()

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except self._failure as error:
            why = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            raise StoreError(
                f"the store {self.name} cannot be {done}: {why}; look at the server, the address and its rights"
            ) from error
