"""Measures what the strict model has to hold, and prints the report; `make providers` runs it.

It ends with 1 where a target is missed: the report then says which.
"""

from __future__ import annotations

import shutil
from importlib.metadata import version

from tests.perf import checking, paced, serving, sessions
from tests.perf.targets import report

PARTS = (serving.measure, paced.measure, sessions.measure, checking.measure)


def main() -> None:
    """Print the report."""
    if shutil.which("wrk") is None:  # told at once, and not after minutes
        raise SystemExit("wrk is not installed: apt-get install wrk (or brew install wrk)")
    servers = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools", "msgspec"))
    report(
        "The strict model against its targets",
        "`make providers` prints this, each part by the command under its title; `make peers` installs the other mock.",
        [f"The servers are of {servers}."],
        PARTS,
    )


if __name__ == "__main__":
    main()
