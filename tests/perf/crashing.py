"""A process that keeps runs, and says of each that it is kept; to be killed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from looprig.store import open_store
from tests.perf.crash_records import record


def work(folder: Path, first: int, count: int, prune: int | None = None) -> None:
    """Save *count* runs, from the number *first* on, then remove all but the newest *prune*; acknowledge each step."""
    said = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open_store(folder / "history.db") as store:
        for number in range(first, first + count):
            store.save(record(number))
            os.write(said, f"{number}\n".encode())
        if prune is not None:
            store.prune(keep=prune)
            os.write(said, b"pruned\n")
    os.close(said)


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else None)
