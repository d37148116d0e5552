"""Who predicts best, and whether the learner is worth it: sentences that rules make from the figures, whoever wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from statistics import fmean

from looprig.prediction.learner import Boosting
from looprig.prediction.scoring import Skill, skill
from looprig.prediction.simple import LastValue
from looprig.prediction.study import ALL, TARGETS, Study


class Worth(StrEnum):
    """Whether the learner earns its keep."""

    YES = "worth it"
    IN_PLACES = "worth it in places"
    NOT_SHOWN = "not shown to be worth it"
    NO = "not worth it"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Winner:
    """The predictor that is nearest in most cases (a loop and a target), in how many, and its mean relative error."""

    name: str
    cases: int
    of: int
    relative: float


def winner(study: Study, way: str = "unseen") -> Winner:
    """Return who is nearest in most cases; of several, the one with the smallest error over all."""
    cases = list(product(study.loops, TARGETS))
    wins = Counter(study.best(loop, way, target) for loop, target in cases)
    name = min(wins, key=lambda name: (-wins[name], overall(study, way, name)))
    return Winner(name, wins[name], len(cases), overall(study, way, name))


def overall(study: Study, way: str, predictor: str) -> float:
    """Return a predictor's mean relative error over loops, targets and scenarios."""
    return fmean(errors(study, way, predictor).values())


def errors(study: Study, way: str, predictor: str) -> dict[str, float]:
    """Return a predictor's relative errors by scenario, each the mean over loops and targets."""
    of = [study.errors(ALL, way, target, predictor) for target in TARGETS]
    return {name: fmean(each[name] for each in of) for name in study.scenarios}


def best_simple(study: Study) -> str:
    """Return the predictor with the smallest error over all, the learner apart."""
    return min(simple_ones(study), key=lambda name: overall(study, "unseen", name))


def over_best_simple(study: Study) -> Skill:
    """Return the learner's skill over the best simple predictor, over all loops and targets."""
    return skill(errors(study, "unseen", Boosting.name), errors(study, "unseen", best_simple(study)))


def against_simple(study: Study, way: str = "unseen") -> list[tuple[str, str, str, Skill]]:
    """Return, for each loop and target, the best predictor that is not the learner, and the learner's skill over it.

    The best is chosen with the very turns that it is compared on, which is to the learner's disadvantage.
    """
    others = simple_ones(study)
    found = []
    for loop, target in product(study.loops, TARGETS):
        best = study.best(loop, way, target, others)
        found.append((loop, target, best, study.skill(loop, way, target, Boosting.name, best)))
    return found


def simple_ones(study: Study) -> Sequence[str]:
    """Return the names of all predictors but the learner."""
    return [each.name for each in study.predictors if each.name != Boosting.name]


def worth(study: Study) -> Worth:
    """Return whether the learner is worth it on scenarios that it has not seen.

    The best simple predictor over all is what it has to beat over all. Where the interval of its skill holds 0 it is
    not shown to, and where it lies below it does not. Where it lies above, but some case has a simple predictor that is
    shown to be better, the learner is worth it in places.
    """
    if study.missing is not None:
        return Worth.NOT_RUN
    shown = over_best_simple(study).shown
    if shown != 1:
        return Worth.NO if shown else Worth.NOT_SHOWN
    worse = any(each.shown < 0 for *_, each in against_simple(study))
    return Worth.IN_PLACES if worse else Worth.YES


def sentences(study: Study) -> list[str]:
    """Return three sentences: who wins, whether the learner is worth it, and how much of it is recognition."""
    return [_who_wins(study), _is_it_worth_it(study), _recognition(study)]


def _who_wins(study: Study) -> str:
    best = winner(study)
    last = overall(study, "unseen", LastValue.name)
    beside = "" if best.name == LastValue.name else f", where last value is off by {last:.1%}"
    return (
        f"On scenarios that nothing was learned from, {best.name} is nearest in {best.cases} of {best.of} cases "
        f"(a loop, and messages or tokens): it is off by {best.relative:.1%} of the history on average{beside}."
    )


def _is_it_worth_it(study: Study) -> str:
    verdict = worth(study)
    if verdict is Worth.NOT_RUN:
        return f"Whether a learner is worth it is not said, because it was not run: {study.missing}."
    shown = Counter(each.shown for *_, each in against_simple(study))
    simple, over = best_simple(study), over_best_simple(study)
    cost, others = (study.costs[name] for name in (Boosting.name, simple))
    return (
        f"The learner ({Boosting.name}) is {verdict}: it is off by {overall(study, 'unseen', Boosting.name):.1%} where "
        f"the best simple predictor, {simple}, is off by {overall(study, 'unseen', simple):.1%} (skill over it "
        f"{over.value:+.2f}, 95 % interval over scenarios {over.low:+.2f} to {over.high:+.2f}), beside the best "
        f"simple one of each case it is shown to be better in {shown[1]} of {shown.total()} and worse in {shown[-1]}, "
        f"and a prediction costs it ~{cost.prediction_us:,.0f} us of CPU where {simple} takes "
        f"~{others.prediction_us:,.1f} us."
    )


def _recognition(study: Study) -> str:
    name = winner(study).name if study.missing is not None else Boosting.name
    known, unseen = (overall(study, way, name) for way in ("known", "unseen"))
    lead_known, lead = (overall(study, way, LastValue.name) - overall(study, way, name) for way in ("known", "unseen"))
    if lead_known <= 0:
        return (
            f"On other seeds of scenarios that it has learned from, {name} is off by {known:.1%}, and does not beat "
            "last value even there."
        )
    return (
        f"On other seeds of scenarios that it has learned from, {name} is off by {known:.1%} instead of {unseen:.1%}: "
        f"{max(0.0, 1 - lead / lead_known):.0%} of its lead over last value there is recognition of the scenario and "
        "is lost on others."
    )
