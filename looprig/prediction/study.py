"""The whole measurement: plays every loop, holds turns out, and scores every predictor on what it has not seen.

Turns are held out in two ways. *Unseen*: a whole scenario with all of its seeds, so that nothing like it was learned
from; this is what a prediction is for. *Known*: one seed of every scenario, so that the same scenario with other seeds
was learned from; the difference between the two is what was recognised, not predicted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, product
from statistics import fmean

from looprig.content import ScenarioFile
from looprig.prediction import learner
from looprig.prediction.features import Size
from looprig.prediction.linear import Linear
from looprig.prediction.predictor import Predictor
from looprig.prediction.scoring import Score, Skill, mean_of, score, skill
from looprig.prediction.simple import LastValue, Mean, Sawtooth
from looprig.prediction.turns import Sample, samples
from looprig.progress import Tell
from looprig.suite import Settings, steps
from looprig.target import Target

LOOPS = (
    "reference,policy=grouped,max_history_pairs=10",
    "reference,policy=end-of-turn,max_history_pairs=10",
    "reference,policy=never",
)
"""What is predicted by default: two policies that trim in different ways, often because their budget is small, and a
history that only grows."""

ALL = "all loops"

TARGETS = ("messages", "tokens")
"""What is predicted: the fields of a `Size`."""

HELD_OUT: Mapping[str, Callable[[Sample], object]] = {
    "unseen": lambda sample: sample.scenario,
    "known": lambda sample: sample.seed,
}
"""What is held out at a time, by the name of the way."""

LEARNED = 400
"""Turns of one scenario that are learned from, at most."""

ASKED = 50
"""Predictions that are timed one by one, as a loop would ask for them."""


class CannotPredict(Exception):
    """There is too little to hold something out of; the text says what to add."""


@dataclass(slots=True)
class Cost:
    """CPU time of one predictor: what learning took, for how many turns, and each of some single predictions."""

    learned_s: float = 0.0
    learned_turns: int = 0
    asked_s: list[float] = field(default_factory=list)

    @property
    def per_1000_turns_s(self) -> float:
        """CPU seconds that learning from 1,000 turns took, on average."""
        return 1000 * self.learned_s / max(1, self.learned_turns)

    @property
    def prediction_us(self) -> float:
        """CPU microseconds that one prediction takes (the least of several means of some)."""
        return 1e6 * min(self.asked_s)


Errors = Mapping[str, Score]
"""Scores by scenario."""


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that was measured.

    ``scores`` are by loop, way of holding out, target and predictor. ``missing`` says why the learner was left out.
    """

    loops: Sequence[str]
    scenarios: Sequence[str]
    settings: Settings
    turns: int
    predictors: Sequence[Predictor]
    scores: Mapping[tuple[str, str, str, str], Errors]
    costs: Mapping[str, Cost]
    missing: str | None = None

    def errors(self, loop: str, way: str, target: str, predictor: str) -> dict[str, float]:
        """Return relative errors by scenario; of `ALL` loops their mean."""
        loops = self.loops if loop == ALL else (loop,)
        return {
            name: fmean(self.scores[each, way, target, predictor][name].relative for each in loops)
            for name in self.scenarios
        }

    def relative(self, loop: str, way: str, target: str, predictor: str) -> float:
        """Return the mean relative error over scenarios."""
        return fmean(self.errors(loop, way, target, predictor).values())

    def mean(self, loop: str, way: str, target: str, predictor: str) -> Score:
        """Return the mean score over scenarios."""
        return mean_of(list(self.scores[loop, way, target, predictor].values()))

    def skill(self, loop: str, way: str, target: str, predictor: str, other: str = LastValue.name) -> Skill:
        """Return the predictor's skill over another one."""
        return skill(self.errors(loop, way, target, predictor), self.errors(loop, way, target, other))

    def best(self, loop: str, way: str, target: str, names: Sequence[str] | None = None) -> str:
        """Return the predictor with the smallest relative error, of all or of those in *names*."""
        names = [each.name for each in self.predictors] if names is None else names
        return min(names, key=lambda name: self.relative(loop, way, target, name))


def study(targets: Sequence[Target], files: Sequence[ScenarioFile], settings: Settings, tell: Tell) -> Study:
    """Play *files* with all seeds of *settings* against each loop, and score all predictors that run here.

    Raises:
        CannotPredict: with fewer than two scenarios or two seeds.
        LoopError: where a loop cannot be driven.
        ContentError: where a scenario cannot be made.
    """
    if len(files) < 2 or settings.seeds < 2:
        raise CannotPredict(
            "a prediction is scored on a scenario, and on a seed, that it was not learned from: "
            "name at least two scenarios, and give at least --seeds 2"
        )
    predictors = available()
    costs = {each.name: Cost() for each in predictors}
    scores: dict[tuple[str, str, str, str], Errors] = {}
    turns = 0
    done = count(1)
    for target in targets:
        played: list[Sample] = []
        for step in steps(files, target, settings):
            played += samples(step)
            tell.step(next(done), f"{step.file.name} seed {step.seed}")
        turns += len(played)
        for way, predictor in product(HELD_OUT, predictors):
            ends = predictions(predictor, played, way, costs[predictor.name])
            for index, name in enumerate(TARGETS):
                scores[target.spec, way, name, predictor.name] = _by_scenario(played, ends, index)
            tell.step(next(done), f"{predictor.name}, {way} turns of {target.spec}")
    names = [file.name for file in files]
    specs = [target.spec for target in targets]
    return Study(specs, names, settings, turns, predictors, scores, costs, learner.missing())


def available() -> list[Predictor]:
    """Return the predictors that run here, the simplest first."""
    predictors: list[Predictor] = [LastValue(), Mean(), Sawtooth(), Linear()]
    return predictors if learner.missing() else [*predictors, learner.Boosting()]


def work(targets: Sequence[Target], files: Sequence[ScenarioFile], settings: Settings) -> int:
    """Return how many steps `study` tells of."""
    return len(targets) * (len(files) * settings.seeds + len(HELD_OUT) * len(available()))


def predictions(predictor: Predictor, played: Sequence[Sample], way: str, cost: Cost) -> list[Size]:
    """Return a prediction for each sample, learned from those that are not held out with it."""
    part_of = HELD_OUT[way]
    predicted: dict[int, Size] = {}
    for part in dict.fromkeys(map(part_of, played)):
        seen = _thinned([sample for sample in played if part_of(sample) != part])
        held = [index for index, sample in enumerate(played) if part_of(sample) == part]
        started = time.process_time()
        predictor.fit([each.known for each in seen], [each.end for each in seen])
        cost.learned_s += time.process_time() - started
        cost.learned_turns += len(seen)
        ends = predictor.predict([played[index].known for index in held])
        predicted.update(zip(held, ends, strict=True))
    cost.asked_s.append(_asked(predictor, played))
    return [predicted[index] for index in range(len(played))]


def _thinned(seen: Sequence[Sample]) -> list[Sample]:
    """Return at most `LEARNED` turns of each scenario, evenly spaced: long ones must not be all that is learned."""
    kept: list[Sample] = []
    for name in dict.fromkeys(sample.scenario for sample in seen):
        turns = [sample for sample in seen if sample.scenario == name]
        size = min(LEARNED, len(turns))
        kept += [turns[number * len(turns) // size] for number in range(size)]
    return kept


def _asked(predictor: Predictor, played: Sequence[Sample]) -> float:
    """Return the CPU seconds of one prediction that is asked for by itself, on average."""
    some = played[:: max(1, len(played) // ASKED)][:ASKED]
    started = time.process_time()
    for sample in some:
        predictor.predict([sample.known])
    return (time.process_time() - started) / len(some)


def _by_scenario(played: Sequence[Sample], ends: Sequence[Size], index: int) -> dict[str, Score]:
    found: dict[str, tuple[list[float], list[float]]] = {}
    for sample, end in zip(played, ends, strict=True):
        truth, predicted = found.setdefault(sample.scenario, ([], []))
        truth.append(sample.end[index])
        predicted.append(end[index])
    return {name: score(*each) for name, each in found.items()}
