"""A server for the clients."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.clients import script
from tests.perf.serving import Server, running


@pytest.fixture(scope="package")
def served() -> Iterator[str]:
    """Return the address of a strict model in a process of its own; each test takes sessions of its own."""
    command = [sys.executable, "-m", "looprig", "serve", "model", "--port", "PORT", *script.options()]
    with running(Server("looprig", command)) as (port, _):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Close the clients of a test when it is over."""
    with ExitStack() as stack:
        yield stack
