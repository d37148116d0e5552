"""Measures what the reference loop has to hold, and prints the report; `make reference` runs it.

It ends with 1 where a target is missed: the report then says which.
"""

from __future__ import annotations

import logging
import subprocess
import sys

from looprig.suite import machine
from tests.perf import histories, kills, rounds, size, spans
from tests.perf.targets import section

PARTS = (histories.measure, rounds.measure, spans.measure, kills.measure, size.measure)


def main() -> None:
    """Print the report, part by part, as they are done."""
    # Loops that are slow or fail on purpose say so by the thousand.
    logging.getLogger().addHandler(logging.NullHandler())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    print("# The reference loop against its targets\n")
    print("`make reference` prints this, each part by the command under its title.")
    print(f"Commit {commit.stdout.strip() or 'unknown'}; {facts}.\n")
    print("Times are of one shared machine: ratios in one run, interleaved, in CPU time where nothing else is said.")
    print("How many turns, calls and messages there are, and what became of them, is exact.")
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
