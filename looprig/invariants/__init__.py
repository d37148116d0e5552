"""The invariants: what must hold in every run of every chat loop.

`RULES` lists them by code. `Checker` judges a run as it goes; `check` judges a recording.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from looprig.invariants import pairing, providers, said, tools, trimming, turns
from looprig.invariants.rule import VIEWS, Rule, Violation, shape
from looprig.observe import RequestView, SessionView, TurnView, View, views
from looprig.trace import Event

RULES: Mapping[str, Rule] = {
    rule.code: rule for family in (trimming, pairing, said, tools, turns, providers) for rule in family.RULES
}

KEPT_PER_RULE = 20
"""Violations of one rule that are kept in full; further ones are only counted."""


class Checker:
    """Judges a run view by view, in memory that does not grow with the run.

    ``judgements`` counts per code what was judged, ``broken`` what was found wrong; ``violations`` holds the
    first of them. ``waived`` counts what was found wrong and is waived by the loop's contract.
    """

    def __init__(self, rules: Iterable[Rule] = RULES.values()) -> None:
        rules = tuple(rules)
        self.judgements: Counter[str] = Counter({rule.code: 0 for rule in rules})
        self.broken: Counter[str] = Counter()
        self.waived: Counter[str] = Counter()
        self.violations: list[Violation] = []
        self._by_view = {VIEWS[of]: tuple(rule for rule in rules if rule.of == of) for of in VIEWS}

    def see(self, view: View) -> None:
        """Judge one view by all rules that are about its kind."""
        for rule in self._by_view[type(view)]:
            judged = 0
            for because in rule.judge(view):
                judged += 1
                if because is not None:
                    self._found(rule, view, because)
            if judged:
                self.judgements[rule.code] += judged

    def _found(self, rule: Rule, view: View, because: str) -> None:
        if rule.code in view.session.contract.waive:
            self.waived[rule.code] += 1
            return
        self.broken[rule.code] += 1
        if self.broken[rule.code] <= KEPT_PER_RULE:
            self.violations.append(_violation(rule, view, because))


def _violation(rule: Rule, view: View, because: str) -> Violation:
    request: int | None = None
    letters = ""
    if isinstance(view, RequestView):
        request, letters = view.number, shape(view.entries)
    return Violation(
        code=rule.code,
        invariant=rule.name,
        session=view.session.number,
        turn=view.turn if isinstance(view, TurnView) else view.session.turn,
        request=request,
        because=because,
        shape=letters,
    )


def check(events: Iterable[Event], rules: Iterable[Rule] = RULES.values()) -> Sequence[Violation]:
    """Judge a whole run, for example one read from a recording."""
    checker = Checker(rules)
    for view in views(events):
        checker.see(view)
    return checker.violations


__all__ = [
    "RULES",
    "Checker",
    "RequestView",
    "Rule",
    "SessionView",
    "TurnView",
    "Violation",
    "check",
    "shape",
]
