"""Stores to test with: each test of `place` runs on a file and on a server."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.store.server import server

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a running server; its database's name is still to be put in."""
    with server() as address:
        yield address


@pytest.fixture
def database(postgres: str) -> str:
    """The address of a fresh database."""
    import sqlalchemy

    name = f"test_{next(_numbers)}"
    engine = sqlalchemy.create_engine(
        postgres.format("postgres").replace("postgresql://", "postgresql+psycopg://"),
        isolation_level="AUTOCOMMIT",
        poolclass=sqlalchemy.NullPool,
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"create database {name}"))
    return postgres.format(name)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be: a path, or an address."""
    return str(tmp_path / "history.db") if request.param == "sqlite" else request.getfixturevalue("database")
