"""What the gate says: one check for each thing that it looked at, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from looprig.exits import Exit
from looprig.invariants import Violation
from looprig.runner import Outcome
from looprig.suite import Step
from looprig.verdicts import Comparison


class Status(StrEnum):
    """From good to bad news; ``skipped`` is what was not judged, and says why."""

    PASSED = "passed"
    SKIPPED = "skipped"
    WAIVED = "waived"
    UNDECIDED = "undecided"
    EXCEEDED = "exceeded"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at in one scenario: an invariant, or a metric with its limit.

    ``why`` says what is wrong, why nothing was decided, or the waiver's reason. ``found`` is the first violation, and
    ``times`` how many there are. ``asked`` tells what the configuration asks for by name from what is judged
    by default: only that being undecided counts under ``--strict``.
    """

    scenario: str
    name: str
    status: Status
    why: str = ""
    limit: str = ""
    comparison: Comparison | None = None
    found: Violation | None = None
    times: int = 0
    asked: bool = False
    replay: str = ""


@dataclass(frozen=True, slots=True)
class Played:
    """One run of the loop under test, and the name that its scenario has in the reports."""

    label: str
    step: Step
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Gated:
    """All that one gate found. ``baseline`` says what was compared with, and is empty where nothing was.

    ``left_out`` is what was not judged at all, with the reason; ``notes`` is what a reader has to know besides.
    ``where`` is the file and line of the loop under test, where they are known.
    """

    loop: str
    baseline: str
    played: Sequence[Played]
    checks: Sequence[Check]
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    where: tuple[str, int | None] | None = None
    strict: bool = False
    command: str = "looprig gate"

    def of(self, *statuses: Status) -> list[Check]:
        """Return the checks that ended so."""
        return [check for check in self.checks if check.status in statuses]

    @property
    def ran(self) -> bool:
        """Whether anything was judged: a gate that judged nothing must not pass."""
        return any(check.status is not Status.SKIPPED for check in self.checks)

    @property
    def exit(self) -> Exit:
        """The one exit code: a broken invariant before an exceeded limit before what is undecided."""
        if not self.ran:
            return Exit.NOTHING_RAN
        if self.of(Status.BROKEN):
            return Exit.VIOLATED
        if self.of(Status.EXCEEDED):
            return Exit.REGRESSED
        return Exit.UNDECIDED if self.strict and self.of(Status.UNDECIDED) else Exit.PASSED
