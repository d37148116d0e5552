"""Users' own benchmarks, as they are written for pytest-benchmark: timed in pairs, and read from its stored runs."""

from __future__ import annotations

from collections.abc import Sequence

from looprig.benchmarks.pairs import BenchmarkProblem, Both, find_both, judge_benchmarks
from looprig.benchmarks.saved import SavedProblem, runs
from looprig.benchmarks.unpaired import judge_saved
from looprig.exits import Exit
from looprig.verdicts import Comparison, Verdict

__all__ = [
    "BenchmarkProblem",
    "Both",
    "SavedProblem",
    "exit_code",
    "find_both",
    "judge_benchmarks",
    "judge_saved",
    "runs",
]


def exit_code(found: Sequence[Comparison], *, strict: bool) -> Exit:
    """Return what the process says of these comparisons; *strict* takes undecided for bad news."""
    verdicts = {each.verdict for each in found}
    if Verdict.REGRESSED in verdicts:
        return Exit.REGRESSED
    return Exit.UNDECIDED if strict and Verdict.UNDECIDED in verdicts else Exit.PASSED
