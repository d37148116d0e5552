"""Plays a trimmer over all histories and limits, and counts what its cuts break.

Each case has trimmers of its own, because some remember. Of each rule that is broken the smallest case is kept, in
letters, so that it can be played again by itself.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from looprig.messages import Message
from looprig.trimmers import histories, letters
from looprig.trimmers.call import Caller, TrimFailed, facts
from looprig.trimmers.contract import Codec, NotRepresentable, Subject, Unit, lost_by
from looprig.trimmers.histories import Case
from looprig.trimmers.judge import TOTAL, judge
from looprig.trimmers.shrink import smaller
from looprig.trimmers.trial import Trial

SMALL = 6
"""A case with at most so many messages needs no shrinking."""

SHORT = 24
"""Of longer histories it is not asked whether their messages were changed, or whether a second trimmer does the same:
that shows in short ones, and costs as much again."""

TIMED_OUT_MAX = 5
BUDGET_S = 300.0


@dataclass(frozen=True, slots=True)
class Example:
    """A case that breaks a rule: the history in letters, the limit, what came out, and why that is a breach."""

    letters: tuple[str, ...]
    limit: int
    result: str
    because: str

    @property
    def size(self) -> tuple[int, int]:
        """What makes one example smaller than another: fewer messages, then a smaller limit."""
        return len(self.letters), self.limit

    @property
    def history(self) -> str:
        """The history as text that can be given to ``--history``."""
        return letters.folded(self.letters)


@dataclass(slots=True)
class Findings:
    """What playing a trimmer showed.

    ``applied`` and ``broken`` count runs by code; ``examples`` has the smallest case of each broken rule.
    ``worst_size`` is the largest size in proportion to the limit, where the limit could be kept. ``chain_kept`` is how
    many messages are left of a turn with 203 calls, and at which limit. ``unheld`` counts cases whose history the
    messages cannot hold, ``altered`` those that a round trip through the codec changes, the first with its reason.
    ``cut_short`` says why not all cases were played.
    """

    subject: Subject
    runs: int = 0
    applied: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Example] = field(default_factory=dict)
    worst_size: float = 0.0
    chain_kept: tuple[int, int] | None = None
    unheld: int = 0
    altered: int = 0
    altered_because: str = ""
    cut_short: str = ""

    def breaks(self) -> list[str]:
        """Return the codes of the rules that are broken and not waived."""
        return [code for code in self.broken if code not in self.waived()]

    def waived(self) -> dict[str, str]:
        """Return what the contract waives, with its reasons."""
        return dict(self.subject.contract(1).waive)


@dataclass(slots=True)
class Played:
    """What one case showed: the verdict of each rule that applies, and what came out (None where nothing did)."""

    verdicts: dict[str, str | None]
    result: list[Message] | None = None
    trial: Trial | None = None


def unit_of(subject: Subject) -> Unit:
    """Return the unit that goes for the choice of limits; an own measure counts like messages."""
    unit = subject.contract(1).unit
    return unit if isinstance(unit, str) else "messages"


def cases_of(subject: Subject) -> list[Case]:
    """Return all cases that *subject* is played."""
    apart = subject.contract(1).system_apart
    return list(histories.cases(unit_of(subject), subject.limits, slow=subject.slow, apart=apart))


def play(
    subject: Subject,
    cases: Iterable[Case] | None = None,
    *,
    budget_s: float = BUDGET_S,
    tell: Callable[[int], None] | None = None,
) -> Findings:
    """Play *subject* over *cases*, by default all of them, and shrink what is found.

    Raises:
        OSError, ImportError: as ``subject.make`` does.
    """
    if cases is None:
        cases = cases_of(subject)
    findings = Findings(subject)
    deadline = time.monotonic() + budget_s
    held = Held(subject.codec)
    with Caller() as caller:
        for case in cases:
            findings.cut_short = _enough(caller, deadline)
            if findings.cut_short:
                break
            _count(findings, case, one(subject, case, caller, held))
            if tell is not None:
                tell(findings.runs)
        if caller.timed_out == 0:
            _shrink(findings, caller, deadline + budget_s / 4)
    return findings


def _enough(caller: Caller, deadline: float) -> str:
    if caller.timed_out >= TIMED_OUT_MAX:
        return f"{caller.timed_out} calls took more than {caller.limit_s:g} s"
    return "the time for it was over" if time.monotonic() > deadline else ""


class Held:
    """The history that is being played, and whether the subject's messages can hold it: asked once for all limits."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._letters: tuple[str, ...] = ()
        self.given: list[Message] = []
        self.lost: str | None = None

    def take(self, history: tuple[str, ...]) -> None:
        """Build *history*; ``lost`` becomes what a round trip loses, "" where there is no form for it."""
        if history == self._letters:
            return
        self._letters, self.given = history, letters.build(history)
        try:
            self.lost = lost_by(self._codec, self.given)
        except NotRepresentable:
            self.lost = ""


def one(subject: Subject, case: Case, caller: Caller, held: Held | None = None) -> Played | str:
    """Play one case; return the reason as text where its history cannot be held by the subject's messages."""
    held = held or Held(subject.codec)
    held.take(case.letters)
    if held.lost is not None:
        return held.lost
    try:
        return _judged(subject, case, held.given, caller)
    except NotRepresentable:
        return ""


def _judged(subject: Subject, case: Case, given: list[Message], caller: Caller) -> Played:
    contract, codec = subject.contract(case.limit), subject.codec
    native = codec.load(given)
    watched = contract.mode != "inplace" and len(given) <= SHORT
    before, kept = (facts(native), list(native)) if watched else (None, [])
    try:
        left = caller.call(subject.make(case.limit), native)
        result = caller.read(left, codec)
        touched = _touched(before, native, kept) if watched else None
        # The very objects that came back: a framework may know its own notes by what no translation carries.
        again = caller.trimmed(subject.make(case.limit), list(left), codec)
        twin = caller.trimmed(subject.make(case.limit), codec.load(given), codec) if len(given) <= SHORT else None
    except TrimFailed as failure:
        return Played({TOTAL: str(failure)})
    trial = Trial(given, result, contract, again, twin, touched)
    return Played(judge(trial), result, trial)


def _touched(before: object, native: list[object], kept: list[object]) -> str:
    if len(native) != len(kept) or any(one is not other for one, other in zip(native, kept, strict=True)):
        return "the list that it was given was changed"
    return "" if facts(native) == before else "messages that it was given were changed"


def _count(findings: Findings, case: Case, played: Played | str) -> None:
    if isinstance(played, str):
        findings.unheld += not played
        findings.altered += bool(played)
        findings.altered_because = findings.altered_because or played
        return
    findings.runs += 1
    for code, because in played.verdicts.items():
        findings.applied[code] += 1
        if because is not None:
            findings.broken[code] += 1
            _keep(findings, code, _example(case, played, because))
    if played.trial is not None and played.result is not None:
        _measure(findings, case, played.trial)


def _measure(findings: Findings, case: Case, trial: Trial) -> None:
    limit = trial.contract.limit
    if trial.size(trial.needed) <= limit:
        findings.worst_size = max(findings.worst_size, trial.contract.size(trial.result) / limit)
    middle = histories.LONG_LIMITS[unit_of(findings.subject)][1]
    if case.kind == "one turn" and (findings.chain_kept is None or case.limit == middle):
        findings.chain_kept = len(trial.result), case.limit


def _example(case: Case, played: Played, because: str) -> Example:
    known = played.trial.given if played.trial is not None else ()
    result = "(none)" if played.result is None else letters.written(played.result, known)
    limit = played.trial.contract.limit if played.trial is not None else case.limit
    return Example(case.letters, limit, result, because)


def _keep(findings: Findings, code: str, example: Example) -> None:
    if code not in findings.examples or example.size < findings.examples[code].size:
        findings.examples[code] = example


def _shrink(findings: Findings, caller: Caller, deadline: float) -> None:
    """Make the examples that are too long to be read smaller, as long as they break the same rule."""
    subject = findings.subject
    unit = unit_of(subject)
    limits = subject.limits or (*histories.LIMITS[unit], *histories.LONG_LIMITS[unit])
    for code, found in list(findings.examples.items()):
        if len(found.letters) <= SMALL:
            continue

        def breaks(case: Case, code: str = code) -> bool:
            played = one(subject, case, caller)
            return not isinstance(played, str) and played.verdicts.get(code) is not None

        case = smaller(Case(found.letters, found.limit), sorted(set(limits)), breaks, deadline)
        played = one(subject, case, caller)
        if isinstance(played, Played) and (because := played.verdicts.get(code)) is not None:
            _keep(findings, code, _example(case, played, because))


def chosen(subject: Subject, text: str, limits: Sequence[int]) -> list[Case]:
    """Return the cases of one history in letters, by default at the small limits.

    Raises:
        letters.NotLetters: where it is none.
    """
    return [
        Case(letters.read(text), limit, "yours")
        for limit in limits or subject.limits or histories.LIMITS[unit_of(subject)]
    ]
