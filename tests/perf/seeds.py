"""Plays every standard scenario with 200 seeds, and prints the report; `make seeds` runs it."""

from __future__ import annotations

import subprocess
import sys

SEEDS = 200
LOOPS = ("reference,policy=grouped", "reference,policy=grouped,max_history_pairs=10")


def main() -> None:
    """Print the report."""
    print("# The grouped policy over 200 seeds\n")
    print("`make seeds` prints this, by the commands above each part.")
    print(f"No violation in {SEEDS} seeds of a scenario means, with 95 % confidence, that fewer than")
    print(f"{3 / SEEDS:.1%} of its seeds have one (the rule of three).")
    failed = False
    for loop in LOOPS:
        words = ["run", "--seeds", str(SEEDS), "--loop", loop, "--no-traces", "--format", "markdown"]
        done = subprocess.run([sys.executable, "-m", "looprig", *words], capture_output=True, text=True, check=False)
        failed = failed or done.returncode != 0
        print(f"\n`looprig {' '.join(words)}` ended with {done.returncode}:\n")
        print(done.stdout.replace("\n### ", "\n#### ").replace("## ", "### ", 1))
    sys.exit(failed)


if __name__ == "__main__":
    main()
