"""What a claim of the seed report is: its words, what is measured for it, and the rule that judges the measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from looprig.phase3.bench import Bench, CannotMeasure

Who = Literal["seed", "ours"]
"""Which side is measured: the seed's *after*, or the reference loop as it comes."""

Value = float | str


class Verdict(StrEnum):
    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    NOT_MEASURABLE = "not measurable"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value: what it is, and its unit as in `looprig.metrics`; a noisy one differs from run to run."""

    what: str
    value: Value
    unit: str = "count"
    noisy: bool = False


@dataclass(frozen=True, slots=True)
class Detail:
    """A table behind a claim's figures; cells are figures, numbers or texts."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one side showed: figures by the name that the claim's rule knows them by, and the tables behind them."""

    figures: Mapping[str, Figure]
    details: Sequence[Detail] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim: ``id``, the seed report's own ``words``, and the heading ``where`` they stand.

    ``measure`` measures one side of ``on``; ``holds`` judges the values of its figures, and ``rule`` says the same in
    words. Where a claim is about what the report does not show, ``reason`` says why it is not measurable; ours may be
    measured all the same, or nothing at all. Without a seed's side and without a reason (a promise), the verdict is
    about ours. ``shows`` are further commands that print the figures. ``judges_ours`` is False where the rule means
    the seed alone.
    """

    id: str
    words: str
    where: str
    rule: str = ""
    measure: Callable[[Bench, Who], Measured] | None = None
    holds: Callable[[Mapping[str, Value]], bool] | None = None
    on: Sequence[Who] = ("seed", "ours")
    reason: str = ""
    shows: Sequence[str] = ()
    judges_ours: bool = True

    @property
    def commands(self) -> Sequence[str]:
        """The commands that print what was measured."""
        return (f"looprig report --phase3 --claim {self.id}", *self.shows)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A claim with what was measured for it."""

    claim: Claim
    measured: Mapping[Who, Measured]

    @property
    def verdict(self) -> Verdict:
        """The verdict on the claim as the seed report makes it."""
        if self.claim.reason:
            return Verdict.NOT_MEASURABLE
        return Verdict.CONFIRMED if self._holds(self._judged_side) else Verdict.REFUTED

    @property
    def ours_holds(self) -> bool | None:
        """Whether the same rule holds for ours; None where it does not apply."""
        applies = self.claim.judges_ours and "ours" in self.measured
        return self._holds("ours") if applies else None

    def is_noisy(self, who: Who | None = None) -> bool:
        """Whether the verdict on *who*, or the one on the claim, rests on noisy figures."""
        if (who is None and self.claim.reason) or self.claim.holds is None:
            return False
        figures = self.measured[who or self._judged_side].figures
        values = _Read(figures)
        self.claim.holds(values)
        return any(figures[name].noisy for name in values.read)

    @property
    def _judged_side(self) -> Who:
        return "seed" if "seed" in self.measured else "ours"

    def _holds(self, who: Who) -> bool:
        assert self.claim.holds is not None
        return self.claim.holds(_Read(self.measured[who].figures))


@dataclass(slots=True)
class _Read(Mapping[str, Value]):
    """The values of figures; remembers which of them were asked for."""

    figures: Mapping[str, Figure]
    read: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> Value:
        self.read.add(name)
        return self.figures[name].value

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)


def judge(claim: Claim, bench: Bench) -> Judged:
    """Measure *claim*, or return what was measured for it before.

    Raises:
        CannotMeasure: with the claim's id and the reason.
    """
    if claim.id not in bench.judged:
        measure = claim.measure
        try:
            measured = {who: measure(bench, who) for who in claim.on} if measure is not None else {}
            bench.judged[claim.id] = Judged(claim, measured)
        except CannotMeasure:
            raise
        except Exception as error:
            raise CannotMeasure(f"claim {claim.id} cannot be measured: {type(error).__name__}: {error}") from error
    found = bench.judged[claim.id]
    assert isinstance(found, Judged)
    return found


def number(value: Value) -> float:
    """Return a value that is a number as one; the rules compare with it."""
    assert not isinstance(value, str)
    return value
