"""CPU time in pairs: both sides in fresh interpreters on one core, again and again until enough is known.

`judge` gives verdicts; `measure` gives them with all that they rest on. The method, with the error rates that were
measured for it, is in `looprig.paired.rule` and `looprig.paired.session`.
"""

from __future__ import annotations

from looprig.paired.judging import Job, Plan, Timed, judge, measure

__all__ = ["Job", "Plan", "Timed", "judge", "measure"]
