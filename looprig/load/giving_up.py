"""When more load is no use: a staircase ends after three steps on which too few turns were good.

Three, since one step may be missed for a reason that has nothing to do with its height; the last step that was good
before them is what the service carries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from looprig.load.plan import Stage

PATIENCE = 3
"""Stages in a row that are too bad."""


def good_shares(
    stages: Sequence[Stage], series: Mapping[str, Mapping[str, int]], passed_s: float
) -> list[float | None]:
    """Return, of each stage that is over after *passed_s*, the share of good turns among those that ended in it.

    Turns are counted by the second in which they ended, whole seconds of a stage alone; None where none ended.
    """
    shares: list[float | None] = []
    start = 0.0
    for stage in stages:
        end = start + stage.duration_s
        if end > passed_s:
            break
        seconds = [series.get(str(second), {}) for second in range(int(-(-start // 1)), int(end))]
        ended = sum(each.get(how, 0) for each in seconds for how in ("finished", "failed", "dropped"))
        good = sum(each.get("good", 0) for each in seconds)
        shares.append(good / ended if ended else None)
        start = end
    return shares


def gives_up(shares: Sequence[float | None], below: float) -> bool:
    """Say whether the last three stages were all too bad; one in which no turn ended is, once others had some."""
    last = shares[-PATIENCE:]
    begun = any(share is not None for share in shares)
    return begun and len(last) == PATIENCE and all(share is None or share < below for share in last)


def last_good(stages: Sequence[Stage], shares: Sequence[float | None], below: float) -> Stage | None:
    """Return the last stage that was good before too many were not, None where there was none."""
    found = None
    missed = 0
    for stage, share in zip(stages, shares, strict=False):
        if share is not None and share >= below:
            found, missed = stage, 0
        else:
            missed += 1
            if missed == PATIENCE:
                break
    return found
