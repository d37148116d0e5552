"""Makes a case smaller that breaks a rule: fewer messages, a smaller limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from looprig.trimmers import letters
from looprig.trimmers.cut import pairing
from looprig.trimmers.histories import Case

Breaks = Callable[[Case], bool]


def smaller(case: Case, limits: Sequence[int], breaks: Breaks, deadline: float) -> Case:
    """Return a case as small as can be found before *deadline* that still *breaks*; *limits* from small to large."""
    case = _fewer(case, breaks, deadline)
    for limit in limits:
        if limit < case.limit and time.monotonic() < deadline and breaks(replace(case, limit=limit)):
            return smaller(replace(case, limit=limit), limits, breaks, deadline)
    return _without_marks(case, breaks)


def _fewer(case: Case, breaks: Breaks, deadline: float) -> Case:
    """Leave out parts, from half of the history down to one message, as long as that helps."""
    part = len(case.letters) // 2
    while part:
        at = 0
        while at < len(case.letters) and time.monotonic() < deadline:
            left = replace(case, letters=case.letters[:at] + case.letters[at + part :])
            if left.letters and _is_sound(left.letters) and breaks(left):
                case = left
            else:
                at += part
        part //= 2
    return _fewer_pairs(case, breaks)


def _fewer_pairs(case: Case, breaks: Breaks) -> Case:
    """Leave out two neighbours at a time: a call goes with its result, a question with its answer."""
    at = 0
    while at < len(case.letters):
        left = replace(case, letters=case.letters[:at] + case.letters[at + 2 :])
        if left.letters and _is_sound(left.letters) and breaks(left):
            case = left
        else:
            at += 1
    return case


def _without_marks(case: Case, breaks: Breaks) -> Case:
    """Take giants and reused ids back where the rule breaks without them."""
    for at, letter in enumerate(case.letters):
        plain = replace(case, letters=(*case.letters[:at], letter.rstrip("!="), *case.letters[at + 1 :]))
        if plain != case and breaks(plain):
            case = plain
    return case


def _is_sound(history: Sequence[str]) -> bool:
    """Whether no result in the history is an orphan: a reader should not have to wonder about the input."""
    messages = letters.build(history)
    found = pairing(messages)
    return not any(message.role == "tool" and found.is_orphan(at) for at, message in enumerate(messages))
