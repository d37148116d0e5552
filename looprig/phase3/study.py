"""All claims in their order, and the whole study: every claim judged, and the three loops side by side."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from looprig.compare import Side
from looprig.phase3 import figures, memory, monitoring, objectives, promises, tools
from looprig.phase3.bench import Bench, CannotMeasure
from looprig.phase3.claim import Claim, Judged, judge
from looprig.phase3.objectives import PHASES, PRIMARY, SECONDARY, Standing, standing
from looprig.subject import LoopError

CLAIMS: Mapping[str, Claim] = {
    claim.id: claim for family in (memory, monitoring, tools, figures, objectives, promises) for claim in family.CLAIMS
}
"""Every claim of the seed report, by its id."""


class UnknownClaim(Exception):
    """There is no claim of this id; the text says which ones there are."""


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that was measured."""

    judged: Mapping[str, Judged]
    sides: Sequence[Side]
    """Before, the seed's after, ours, over the standard scenarios."""
    standings: Mapping[str, Standing]
    """How each objective and each phase stands, by its name."""


def find(name: str) -> Claim:
    """Return the claim whose id is *name*, in capitals or not.

    Raises:
        UnknownClaim: with the nearest id.
    """
    claim = CLAIMS.get(name.upper())
    if claim is not None:
        return claim
    close = difflib.get_close_matches(name.upper(), CLAIMS, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(CLAIMS)}"
    raise UnknownClaim(f"the seed report has no claim {name!r}; {hint}")


def study(bench: Bench, done: Callable[[int, str], None] = lambda _number, _name: None) -> Study:
    """Measure everything; *done* is told of each claim.

    Raises:
        CannotMeasure: with the claim and the reason.
    """
    try:
        sides = bench.compared()
    except LoopError as error:
        raise CannotMeasure(f"the standard scenarios cannot be played: {error}") from error
    judged = {}
    for number, claim in enumerate(CLAIMS.values(), 1):
        judged[claim.id] = judge(claim, bench)
        done(number, claim.id)
    rows = (*PRIMARY, *SECONDARY, *PHASES)
    return Study(judged, sides, {row.name: standing(bench, row) for row in rows})
