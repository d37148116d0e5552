"""A PostgreSQL server of our own: in a temporary folder, reachable by a socket in it alone, and gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

INSTALLED = Path("/usr/lib/postgresql")
"""Where Debian and Ubuntu put the server's programs; they are not on the path."""


def programs() -> Path | None:
    """Return the folder with the server's programs; None where there is none."""
    found = shutil.which("initdb")
    versions = sorted(INSTALLED.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return Path(found).parent if found else versions[-1].parent if versions else None


def unprivileged() -> str | None:
    """Return whom the server runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None


@contextmanager
def server() -> Iterator[str]:
    """Run a server for as long as the block lasts; yield the address of a database, to be followed by its name."""
    at = programs()
    if at is None:
        pytest.skip("no PostgreSQL here: the store on a server is not tested (apt-get install postgresql)")
    user = unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="looprig-"))  # a socket's path must be short
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"

    def run(program: str, *words: str) -> None:
        # Output goes to a file: a server that inherits a pipe would keep its reader waiting.
        with (folder / f"{program}.log").open("w") as log:
            done = subprocess.run(
                [at / program, *words], stdout=log, stderr=log, timeout=60, user=user, cwd=folder, check=False
            )
        assert not done.returncode, (folder / f"{program}.log").read_text()

    try:
        run("initdb", "-D", str(data), "-U", "looprig", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        run("pg_ctl", "-D", str(data), "-w", "-o", f"-k {folder} -c listen_addresses='' -c fsync=off", "start")
        try:
            yield f"postgresql://looprig@/{{}}?host={folder}"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
