"""Measures what the reference loop has to hold, and prints the report; `make reference` runs it.

It ends with 1 where a target is missed: the report then says which.
"""

from __future__ import annotations

import logging

from tests.perf import histories, kills, rounds, size, spans
from tests.perf.targets import report

PARTS = (histories.measure, rounds.measure, spans.measure, kills.measure, size.measure)


def main() -> None:
    """Print the report."""
    # Loops that are slow or fail on purpose say so by the thousand.
    logging.getLogger().addHandler(logging.NullHandler())
    report(
        "The reference loop against its targets",
        "`make reference` prints this, each part by the command under its title.",
        ["How many turns, calls and messages there are, and what became of them, is exact."],
        PARTS,
    )


if __name__ == "__main__":
    main()
