"""Print what the adapters cost a step, and how they run the calls of a round: python -m tests.perf.conduct NAME..."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version

from tabulate import tabulate

from looprig.adapters import ADAPTERS
from looprig.conduct import conduct
from looprig.target import TargetError, find

HEAD = ("loop", "versions", "us a step", "5x on", "speed-up", "can be", "conflicts broken", "call order", "failed call")


def row(name: str) -> tuple[object, ...]:
    """Return what was found of one loop, by its name or text form."""
    target = find(name)
    found = conduct(target.make(), target.clock)
    packages = getattr(sys.modules[target.factory.__module__], "PACKAGES", ())
    return (
        name,
        " ".join(f"{package} {version(package)}" for package in packages),
        found.step_us,
        found.step_us_long,
        found.speedup,
        found.speedup_possible,
        f"{found.broken_conflicts} of {found.conflicts}",
        "yes" if found.in_call_order else "no",
        f"{found.failed_call}; siblings {found.siblings}",
    )


def main(names: list[str]) -> None:
    """Print a table of the loops that can be made here, and what is missing for the others."""
    logging.disable(logging.CRITICAL)
    rows, missing = [], []
    for name in names or ADAPTERS:
        try:
            rows.append(row(name))
        except TargetError as error:
            missing.append(f"{name}: {error}")
    print(tabulate(rows, HEAD, tablefmt="github"))
    print(*missing, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
