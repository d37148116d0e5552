"""Makes a case smaller that breaks a rule: fewer messages, a smaller limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from looprig.trimmers import letters
from looprig.trimmers.histories import Case
from looprig.trimmers.trial import pairing

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
    return _fewer_neighbours(_narrower(case, breaks), breaks)


def _fewer_neighbours(case: Case, breaks: Breaks) -> Case:
    """Leave out up to four neighbours at a time: a call goes with its result, a question with its answer."""
    for width in (4, 3, 2, 1):
        at = 0
        while at < len(case.letters):
            left = replace(case, letters=case.letters[:at] + case.letters[at + width :])
            if left.letters and _is_sound(left.letters) and breaks(left):
                return _fewer_neighbours(left, breaks)
            at += 1
    return case


def _narrower(case: Case, breaks: Breaks) -> Case:
    """Ask for fewer tools at once, with fewer results."""
    for at, letter in enumerate(case.letters):
        calls = int(letter[1:].rstrip("!=")) if letter[0] == "C" else 1
        results = next(
            (n for n, other in enumerate(case.letters[at + 1 :]) if other[0] != "T"), len(case.letters) - at - 1
        )
        for fewer in range(1, calls):
            for left in range(min(results, fewer) + 1):
                marks = letter.lstrip("C0123456789")
                asked = (f"C{fewer}{marks}", *["T"] * left)
                smaller_one = replace(case, letters=(*case.letters[:at], *asked, *case.letters[at + 1 + results :]))
                if _is_sound(smaller_one.letters) and breaks(smaller_one):
                    return _narrower(smaller_one, breaks)
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
