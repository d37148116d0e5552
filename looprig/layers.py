"""Has the layers behind the exact metrics look at two sides, in order: counts, instructions, CPU time.

Each plays both sides in processes of its own. What one of them finds keeps none of the others from looking: a count
says that something changed, the time what it costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from looprig import counted, instructions, paired
from looprig.home import Job
from looprig.progress import Tell
from looprig.verdicts import Comparison


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which layers are to look; ``pairs`` says how CPU time is judged, and is None where it is not."""

    counts: bool = True
    instructions: bool = False
    pairs: paired.Plan | None = field(default_factory=paired.Plan)

    @property
    def any(self) -> bool:
        """Whether one of them is to look."""
        return self.counts or self.instructions or self.pairs is not None

    def steps(self, scenarios: int) -> int:
        """Return how many steps *tell* hears of, at most."""
        seeds = len(instructions.Plan().hash_seeds) + 1
        return self.counts * scenarios + self.instructions * 2 * seeds + (self.pairs is not None) * scenarios

    def missing(self) -> str | None:
        """Say why instructions cannot be counted here, where they are wanted; None where they can."""
        return instructions.missing() if self.instructions else None


def look(jobs: Sequence[Job], wanted: Wanted, tell: Tell) -> list[Comparison]:
    """Return what the wanted layers found; what one of them could not judge is undecided.

    Raises:
        LoopError: where a loop cannot be had or played.
    """
    found: list[Comparison] = []
    done = 0

    def step(number: int, name: str) -> None:
        tell.step(done + number, name)

    further = Tell(step, tell.turn)
    if wanted.counts:
        found += counted.judge(jobs, counted.Plan(), further)
        done += len(jobs)
    if wanted.instructions:
        found += instructions.judge(jobs, instructions.Plan(), further)
        done += wanted.steps(0)
    if wanted.pairs is not None:
        found += paired.judge(jobs, wanted.pairs, further)
    return found
