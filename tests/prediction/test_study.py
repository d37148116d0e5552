"""The whole measurement in small, its sentences, and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from looprig import content, target
from looprig.prediction import learner, study, verdict
from looprig.prediction.features import Known, Size
from looprig.prediction.scoring import Score
from looprig.prediction.study import Cost, Study, predictions
from looprig.prediction.turns import Sample, samples
from looprig.progress import Tell
from looprig.report import prediction
from looprig.report.table import Table
from looprig.suite import Settings, steps

NAMES = ("repeated_ids", "pending_calls", "slow_model")
SMALL = Settings(seeds=2, parameters={"turns": "30", "messages": "120"})
TRIMS_OFTEN = "reference,policy=grouped,max_history_pairs=4"


class Nosy:
    """A predictor that writes down what it is shown, and predicts the mean end."""

    name = "nosy"
    text = "whatever"

    def __init__(self) -> None:
        self.shown: list[tuple[list[Known], list[Known]]] = []
        self._learned: list[Known] = []

    def fit(self, turns: Sequence[Known], ends: Sequence[Size]) -> None:
        self._learned = list(turns)

    def predict(self, turns: Sequence[Known]) -> Sequence[Size]:
        self.shown.append((self._learned, list(turns)))
        return [turn.start for turn in turns]


@pytest.fixture(scope="module")
def played() -> list[Sample]:
    files = [content.find_scenario(name) for name in NAMES]
    return [sample for step in steps(files, target.find(TRIMS_OFTEN), SMALL) for sample in samples(step)]


@pytest.mark.parametrize("way", study.HELD_OUT)
def test_what_is_held_out_is_not_learned_from(played: list[Sample], way: str):
    """
    No turn is predicted by a predictor that has learned from its scenario (unseen) or from its seed (known).
    """
    nosy = Nosy()
    predictions(nosy, played, way, Cost())
    of = {id(sample.known): study.HELD_OUT[way](sample) for sample in played}
    parts = set(of.values())
    folds = nosy.shown[: len(parts)]

    assert len(played) == sum(len(held) for _, held in folds)
    for learned, held in folds:
        (part,) = {of[id(each)] for each in held}
        assert {of[id(each)] for each in learned} == parts - {part}


def test_long_scenarios_do_not_drown_the_others(played: list[Sample], monkeypatch: pytest.MonkeyPatch):
    """
    Of each scenario at most so many turns are learned from, from its start to its end.
    """
    monkeypatch.setattr(study, "LEARNED", 10)
    nosy = Nosy()
    predictions(nosy, played, "known", Cost())
    learned, _ = nosy.shown[0]

    assert len(learned) == 10 * len(NAMES)


@pytest.fixture(scope="module")
def found() -> Study:
    files = [content.find_scenario(name) for name in NAMES]
    told: list[int] = []
    targets = [target.find(TRIMS_OFTEN), target.find("reference,policy=never")]
    made = study.study(targets, files, SMALL, Tell(lambda number, name: told.append(number), lambda done, of: None))
    assert told == list(range(1, study.work(targets, files, SMALL) + 1))
    return made


def test_figures_repeat(found: Study):
    """
    All but CPU times is the same in every run.
    """
    files = [content.find_scenario(name) for name in NAMES]
    again = study.study([target.find(TRIMS_OFTEN)], files, SMALL, Tell(lambda *_: None, lambda *_: None))

    assert {key: value for key, value in found.scores.items() if key[0] == TRIMS_OFTEN} == again.scores


def test_page(found: Study):
    """
    The page begins with its three sentences, names its command, and has every predictor and every feature.
    """
    text = prediction.page(found, "looprig predict", {"cores": 2})

    assert all(sentence.endswith(".") for sentence in verdict.sentences(found))
    assert text.startswith("# Memory prediction, scored\n\nOn scenarios that nothing was learned from, ")
    assert "`looprig predict` printed this on 20" in text
    for name in (*(each.name for each in found.predictors), "said\\_tokens\\_mean", *found.loops[1:]):
        assert name in text


def test_as_data(found: Study):
    """
    The JSON has a score for each loop, way, target and predictor, and every number in it is finite.
    """
    data = json.loads(json.dumps(prediction.as_data(found), allow_nan=False))

    assert len(data["scores"]) == 2 * 2 * 2 * len(found.predictors)
    assert set(data["scores"][0]["scenarios"]) == set(NAMES)


# -- the sentences, from figures that were made up --------------------------------------------------


Figures = dict[str, Sequence[float]]
"""Relative errors of each predictor, a scenario each."""


def planted(unseen: Figures, known: Figures | None = None, tokens: Figures | None = None) -> Study:
    """Return a study of one loop with these errors; those of tokens are the same unless *tokens* says otherwise."""
    scores = {
        ("a loop", way, goal, name): {
            f"s{number}": Score(10, value, value, value, 0.5, 0.5) for number, value in enumerate(errors)
        }
        for way, figures in (("unseen", unseen), ("known", known or unseen))
        for goal in study.TARGETS
        for name, errors in ((tokens if tokens and goal == "tokens" else figures).items())
    }
    scenarios = [f"s{number}" for number in range(len(next(iter(unseen.values()))))]
    predictors = list(map(named, unseen))
    costs = {name: Cost(1.0, 1000, [1e-6]) for name in unseen}
    without = None if "boosting" in unseen else "scikit-learn is not there"
    return Study(["a loop"], scenarios, Settings(seeds=2), 60, predictors, scores, costs, without)


def named(name: str) -> Nosy:
    predictor = Nosy()
    predictor.name = name
    return predictor


LAST = [0.2, 0.21, 0.19, 0.2, 0.22, 0.18]


@pytest.mark.parametrize(
    ("boosting", "expected", "said"),
    [
        ([0.1] * 6, verdict.Worth.YES, "better in 2 of 2 and worse in 0"),
        ([0.3] * 6, verdict.Worth.NO, "better in 0 of 2 and worse in 2"),
        ([0.1, 0.32, 0.18, 0.21, 0.2, 0.19], verdict.Worth.NOT_SHOWN, "better in 0 of 2 and worse in 0"),
    ],
    ids=["a learner that is better", "one that is worse", "one that is better by luck"],
)
def test_whoever_wins(boosting: list[float], expected: verdict.Worth, said: str):
    """
    The verdict follows the figures, and the sentences say the verdict.
    """
    made = planted({"last value": LAST, "mean": [value + 0.05 for value in LAST], "boosting": boosting})
    wins, worth, _ = verdict.sentences(made)

    assert expected == verdict.worth(made)
    assert f"The learner (boosting) is {expected}" in worth
    assert said in worth
    assert f", {verdict.winner(made).name} is nearest" in wins


def test_worth_it_in_places():
    """
    A learner that is better over all and worse in one case is worth it in places.
    """
    made = planted(
        {"last value": [0.2] * 6, "boosting": [0.05] * 6},
        tokens={"last value": [0.2] * 6, "boosting": [0.25] * 6},
    )

    assert verdict.Worth.IN_PLACES == verdict.worth(made)
    assert "better in 1 of 2 and worse in 1" in verdict.sentences(made)[1]


def test_recognition():
    """
    Half of a lead that is there only for scenarios that were learned from is called that.
    """
    made = planted(
        {"last value": [0.2] * 6, "boosting": [0.15] * 6}, known={"last value": [0.2] * 6, "boosting": [0.1] * 6}
    )

    assert "off by 10.0% instead of 15.0%: 50% of its lead over last value" in verdict.sentences(made)[2]


def test_no_lead_at_all():
    """
    A learner that does not even beat last value on what it knows is said not to.
    """
    made = planted({"last value": [0.1] * 6, "boosting": [0.2] * 6})

    assert "does not beat last value even there" in verdict.sentences(made)[2]


def test_without_the_learner():
    """
    A learner that did not run is neither worth it nor not, and the page says why.
    """
    made = planted({"last value": LAST, "mean": LAST})

    assert verdict.Worth.NOT_RUN == verdict.worth(made)
    assert "scikit-learn is not there" in verdict.sentences(made)[1]
    assert any("the learner is left out" in note for table in tables(made) for note in table.notes)


def tables(made: Study) -> Iterator[Table]:
    yield from prediction.tables(made)


# -- the command ------------------------------------------------------------------------------------


def looprig(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "looprig", "predict", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])


def test_command():
    """
    It prints tables, says aloud where the learner is missing, and exits with 0 whoever wins.
    """
    done = looprig("repeated_ids", "slow_model", "--seeds", "2", "--set", "turns=20", "--loop", "reference")

    assert done.returncode == 0, done.stderr
    assert "LENGTH OF THE HISTORY, IN TOKENS" in done.stdout
    assert ("the learner is left out" in done.stdout) == (learner.missing() is not None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["repeated_ids"], "name at least two scenarios"),
        (["repeated_ids", "slow_model", "--seeds", "1"], "--seeds 2"),
        (["repeated_ids", "nowhere"], "there is no scenario 'nowhere'"),
        (["--loop", "reference,policy=wrong"], "unknown policy 'wrong'"),
        (["--set", "rounds"], "--set takes NAME=VALUE"),
    ],
)
def test_usage(arguments: list[str], said: str):
    """
    What cannot be scored is refused in one line that says what to change.
    """
    done = looprig(*arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
