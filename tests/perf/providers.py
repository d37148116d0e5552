"""Measures what the strict model has to hold, and prints the report; `make providers` runs it.

It ends with 1 where a target is missed: the report then says which.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version

from looprig.suite import machine
from tests.perf import checking, paced, serving, sessions
from tests.perf.targets import section

PARTS = (serving.measure, paced.measure, sessions.measure, checking.measure)


def main() -> None:
    """Print the report, part by part, as they are done."""
    if shutil.which("wrk") is None:  # told at once, and not after minutes
        raise SystemExit("wrk is not installed: apt-get install wrk (or brew install wrk)")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    servers = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools", "msgspec"))
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    print("# The strict model against its targets\n")
    print(
        "`make providers` prints this, each part by the command under its title; `make peers` installs the other mock."
    )
    print(f"Commit {commit.stdout.strip() or 'unknown'}; {facts}; {servers}.\n")
    print("Times are of one shared machine: ratios in one run, interleaved, in CPU time where nothing else is said.")
    missed = 0
    for measure in PARTS:
        part = measure()
        missed += sum(not target.holds for target in part.targets)
        print(f"\n{section(part)}", flush=True)
        print(f"{part.title}: done", file=sys.stderr)
    print(f"\n{missed} targets missed." if missed else "\nEvery target holds.")
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
