"""CPU time in pairs: both sides in fresh interpreters on one core, again and again until enough is known.

`judge` gives verdicts; `measure` gives them with all that they rest on. The method is told in `looprig.paired.rule`
and `looprig.paired.session`; `make gate-rates` measures its error rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from looprig.paired.judging import Plan, Timed, jobs_of, judge, measure

__all__ = ["Plan", "Timed", "jobs_of", "judge", "measure"]


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is: a worker is in this package, too, and pays for each import."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from looprig.paired import judging

    return getattr(judging, name)
