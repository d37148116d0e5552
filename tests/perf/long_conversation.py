"""Measures a conversation of 10⁶ messages against one of 10⁴, and prints the report; `make long` runs it.

Each size is a process of its own: `looprig run long_conversation`, all invariants on, recorded to disk.
CPU time and peak resident memory are the kernel's figures for that process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

SIZES = (10_000, 100_000, 1_000_000)
ROUNDS = {10_000: 5, 100_000: 2, 1_000_000: 1}
LOOP = "reference,policy=grouped"


class Measured(NamedTuple):
    """One size: CPU microseconds per message net of start-up, peak resident megabytes, and what was judged."""

    messages: int
    us_per_message: float
    peak_mb: float
    judgements: int
    broken: int
    recording_mb: float


def measure(messages: int, start_up_s: float) -> Measured:
    """Run one size, the smaller ones several times, and keep the least CPU time."""
    runs = [_once(messages) for _ in range(ROUNDS.get(messages, 1))]
    cpu_s, peak_mb, result, recording_mb = min(runs, key=lambda run: run[0])
    return Measured(
        messages,
        (cpu_s - start_up_s) / messages * 1e6,
        peak_mb,
        sum(result["judgements"].values()),
        sum(result["broken"].values()),
        recording_mb,
    )


def _once(messages: int) -> tuple[float, float, dict[str, dict[str, int]], float]:
    with tempfile.TemporaryDirectory() as folder:
        words = ["run", "long_conversation", "--set", f"messages={messages}", "--loop", LOOP, "--format", "json"]
        output = Path(folder) / "out.json"
        with output.open("wb") as out:
            child = subprocess.Popen(
                [sys.executable, "-m", "looprig", *words, "--traces", f"{folder}/traces"], cwd=folder, stdout=out
            )
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, 1):
            raise SystemExit(f"looprig {' '.join(words)} ended with {child.returncode}")
        result = json.loads(output.read_text())["runs"][0]
        recorded = sum(path.stat().st_size for path in Path(folder, "traces").glob("*.jsonl"))
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, result, recorded / 1e6


def main() -> None:
    """Print the report."""
    start_up_s = min(_once(10)[0] for _ in range(5))
    measured = [measure(size, start_up_s) for size in SIZES]
    first, last = measured[0], measured[-1]
    rows = [
        [
            f"{one.messages:,}",
            f"{one.us_per_message:.1f}",
            f"{one.us_per_message / first.us_per_message:.2f}",
            f"{one.peak_mb:.1f}",
            f"{one.peak_mb - first.peak_mb:+.1f}",
            f"{one.judgements:,}",
            f"{one.broken}",
            f"{one.recording_mb:.0f}",
        ]
        for one in measured
    ]
    headers = [
        "messages",
        "CPU us/message",
        "to the first",
        "peak RSS, MB",
        "to the first",
        "judgements",
        "broken",
        "recording, MB",
    ]
    print("# A conversation of a million messages\n")
    print("`make long` prints this. Each row is a process of its own:")
    print(f"`looprig run long_conversation --set messages=N --loop {LOOP}`, all invariants on, recorded to disk.")
    print(f"CPU time is the process's, without the {start_up_s:.2f} s of a run of 10 messages; the ratios are what")
    print("counts, the microseconds are those of one shared machine.\n")
    print(tabulate(rows, headers, tablefmt="pipe", disable_numparse=True, colalign=["right"] * len(headers)))
    ratio, above_mb = last.us_per_message / first.us_per_message, last.peak_mb - first.peak_mb
    print("\nThe work per message and the memory do not grow with the conversation:")
    print(f"at {last.messages:,} messages CPU per message is {ratio:.2f} times that at {first.messages:,}")
    print(f"(at most 1.2 is asked), and resident memory is {above_mb:.1f} MB above (at most 60 is asked).")


if __name__ == "__main__":
    main()
