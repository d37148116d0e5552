"""What the store asks of a database: SQL with named parameters, transactions, and its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Parameters = Mapping[str, Any]


class Database(Protocol):
    """One connection. Every method raises `StoreError` where the database does not do what is asked."""

    serial: str
    """The type of a column that numbers its rows."""
    remedy: str
    """What to do where its content is damaged."""

    @property
    def name(self) -> str:
        """How errors call the store: its path, or its address without the password."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """One transaction that sees the store as it is at its first query, whatever others write meanwhile."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """One transaction that nobody else writes beside: committed at its end, undone by any exception."""
        ...

    def rows(self, sql: str, parameters: Parameters | None = None) -> Sequence[Sequence[Any]]:
        """Return the rows of a query; inside of a transaction, as all that follows."""
        ...

    def change(self, sql: str, parameters: Parameters | Sequence[Parameters] | None = None) -> None:
        """Do one statement, once or for each of several parameters."""
        ...

    def insert(self, sql: str, parameters: Parameters) -> int:
        """Insert one row into a table with a ``serial`` column ``id``; return the row's number."""
        ...

    def version(self) -> int:
        """Return the version of the tables; 0 where there are none yet."""
        ...

    def set_version(self, version: int) -> None:
        """Write the version down."""
        ...

    def problem(self) -> str | None:
        """Return what is wrong with how the database lies on the disk; None where nothing is."""
        ...

    def shrink(self) -> None:
        """Give back the space of rows that are gone, where that is not done by itself; outside of a transaction."""
        ...

    def close(self) -> None:
        """Close the connection; it may be closed twice."""
        ...
