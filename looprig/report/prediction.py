"""Memory prediction as tables: who is how far off, on what was seen and on what was not, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from looprig.prediction import learner
from looprig.prediction.features import FEATURES
from looprig.prediction.scoring import Score, Skill
from looprig.prediction.study import ALL, LEARNED, TARGETS, Study
from looprig.prediction.verdict import against_simple, sentences, worth
from looprig.report.table import Column, Table, as_markdown, as_text, escaped
from looprig.version import __version__

TITLES = {"messages": "length of the history, in messages", "tokens": "length of the history, in tokens"}


def text(study: Study, width: int | None = None) -> str:
    """Return the sentences and the tables for a terminal."""
    return "\n\n".join(["\n".join(sentences(study)), *(as_text(table, width) for table in tables(study))])


def page(study: Study, command: str, machine: Mapping[str, str | int]) -> str:
    """Return the whole page as Markdown; *command* printed it today, on *machine*."""
    return "\n\n".join([*_head(study, command, machine), *map(as_markdown, tables(study)), *_foot()])


def _head(study: Study, command: str, machine: Mapping[str, str | int]) -> Iterator[str]:
    yield "# Memory prediction, scored"
    yield from (escaped(sentence) for sentence in sentences(study))
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    library = "no scikit-learn" if study.missing else learner.version()
    yield f"`{command}` printed this on {date.today().isoformat()}, with looprig {__version__} and {library}; {facts}."
    seeds = study.settings.seed, study.settings.seed + study.settings.seeds - 1
    yield (
        "What is predicted is the length of the history when a turn ends, from what is known when it starts. "
        f"{study.turns:,} turns were played: {len(study.scenarios)} scenarios with seeds {seeds[0]} to {seeds[1]} "
        f"against {len(study.loops)} loops, and each loop was learned by itself. *Unseen* scores a scenario that "
        "nothing was learned from, *known* one of its seeds where the others were. Figures with ~ are CPU times; all "
        "others repeat."
    )


def _foot() -> Iterator[str]:
    yield as_markdown(
        Table(
            "what is known when a turn starts",
            [Column("feature"), Column("is")],
            [[name, text] for name, text in FEATURES.items()],
        )
    )
    yield "Nothing that the turn itself brings is among them: `tests/prediction/test_turns.py` changes it and looks."


def tables(study: Study) -> Iterator[Table]:
    """Yield the tables: a target each, the learner beside the simple ones, scenarios, costs."""
    for target in TARGETS:
        yield _scores(study, target)
    if study.missing is None:
        yield _against(study)
    yield _scenarios(study)
    yield _costs(study)


def _scores(study: Study, target: str) -> Table:
    rows = []
    for loop in (*study.loops, *([ALL] if len(study.loops) > 1 else [])):
        for number, predictor in enumerate(study.predictors):
            name = predictor.name
            unseen, known = (study.relative(loop, way, target, name) for way in ("unseen", "known"))
            found = None if loop == ALL else study.mean(loop, "unseen", target, name)
            skill = study.skill(loop, "unseen", target, name)
            rows.append([loop if not number else "", name, *_cells(unseen, skill, found, number), f"{known:.1%}"])
    columns = [
        Column("loop"),
        Column("predictor"),
        Column("off by", "right"),
        Column("skill", "right"),
        Column("95 %", "right", 1),
        Column("MAE", "right", 2),
        Column("p90", "right", 3),
        Column("within 5 %", "right", 4),
        Column("5 % over", "right", 5),
        Column("off by, known", "right"),
    ]
    notes = [] if target != TARGETS[0] else NOTES
    if study.missing is not None and target == TARGETS[0]:
        notes = [*notes, f"the learner is left out: {study.missing}"]
    return Table(TITLES[target], columns, rows, notes)


NOTES = [
    "off by: sum of errors by sum of lengths, in a scenario; each figure is the mean over scenarios",
    "skill: by which share that is less than last value's, with a bootstrap interval over scenarios; below 0: more",
    "p90: 9 of 10 turns are off by at most this; 5 % over: turns that end more than 5 % above the prediction",
]


def _cells(relative: float, skill: Skill, found: Score | None, number: int) -> list[str]:
    skills = [f"{skill.value:+.2f}", f"{skill.low:+.2f} to {skill.high:+.2f}"] if number else ["", ""]
    if found is None:
        return [f"{relative:.1%}", *skills, *[""] * 4]
    return [
        f"{relative:.1%}",
        *skills,
        f"{found.mae:,.1f}",
        f"{found.p90:,.1f}",
        f"{found.near:.0%}",
        f"{found.over:.0%}",
    ]


def _against(study: Study) -> Table:
    words = {1: "better", 0: "not shown", -1: "worse"}
    rows = [
        [loop, target, best, f"{skill.value:+.2f}", f"{skill.low:+.2f} to {skill.high:+.2f}", words[skill.shown]]
        for loop, target, best, skill in against_simple(study)
    ]
    columns = [Column("loop"), Column("of"), Column("best simple predictor")]
    columns += [Column("skill over it", "right"), Column("95 %", "right"), Column("the learner is")]
    return Table(f"the learner beside the best simple predictor, unseen: {worth(study)}", columns, rows)


def _scenarios(study: Study) -> Table:
    names = [each.name for each in study.predictors]
    errors = {(target, name): study.errors(ALL, "unseen", target, name) for target in TARGETS for name in names}
    rows = [[scenario, *(f"{errors[each][scenario]:.1%}" for each in errors)] for scenario in study.scenarios]
    columns = [Column("scenario"), *(Column(f"{target}, {name}", "right") for target, name in errors)]
    return Table("off by, unseen, scenario by scenario, mean over the loops", columns, rows)


def _costs(study: Study) -> Table:
    rows = [
        [
            each.name,
            each.text,
            f"~{study.costs[each.name].per_1000_turns_s * 1000:,.1f} ms",
            f"~{study.costs[each.name].prediction_us:,.1f} us",
        ]
        for each in study.predictors
    ]
    columns = [Column("predictor"), Column("the history ..."), Column("learning 1,000 turns", "right")]
    note = f"CPU time, predictions asked for one by one; learned from at most {LEARNED} turns of a scenario"
    return Table("predictors and their cost", [*columns, Column("a prediction", "right")], rows, [note])


def as_data(study: Study) -> dict[str, Any]:
    """Return everything as plain values; the errors of scenarios are relative ones."""
    return {
        "looprig": __version__,
        "loops": list(study.loops),
        "scenarios": list(study.scenarios),
        "seeds": [study.settings.seed, study.settings.seed + study.settings.seeds - 1],
        "turns": study.turns,
        "learner": worth(study).value,
        "missing": study.missing,
        "sentences": sentences(study),
        "features": FEATURES,
        "scores": [_score_data(study, key) for key in study.scores],
        "costs": {
            name: {"learning_1000_turns_s": cost.per_1000_turns_s, "prediction_us": cost.prediction_us}
            for name, cost in study.costs.items()
        },
    }


def _score_data(study: Study, key: tuple[str, str, str, str]) -> dict[str, Any]:
    loop, way, target, predictor = key
    found, skill = study.mean(*key), study.skill(*key)
    return {
        "loop": loop,
        "held_out": way,
        "target": target,
        "predictor": predictor,
        "relative_error": found.relative,
        "mae": found.mae,
        "p90": found.p90,
        "within_5_percent": found.near,
        "over_5_percent": found.over,
        "skill": skill.value,
        "skill_interval": [skill.low, skill.high],
        "scenarios": {name: score.relative for name, score in study.scores[key].items()},
    }
