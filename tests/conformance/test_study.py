"""The study's table is compared cell by cell."""

from __future__ import annotations

import pytest

from looprig.conformance import study
from looprig.conformance.data import Cell, Example
from looprig.conformance.explained import LONG, WHY, kind_of
from looprig.trimmers.judge import RULES
from tests.conformance.made import trimmer


@pytest.mark.parametrize(
    ("verdict", "theirs", "ours"),
    [
        ("same", "ok", "ok"),
        ("same", "33", "27"),
        ("same", "<1", "1"),
        ("same", "n/a", "n/a"),
        ("same", "in place", "n/a"),
        ("same", "ok", "n/a"),
        ("other share", "88", "40"),
        ("differs", "ok", "<1"),
        ("differs", "12", "ok"),
        ("differs", "n/a", "5"),
    ],
)
def test_verdict(verdict: str, theirs: str, ours: str):
    """
    Whether a rule is broken at all has to agree; by how much depends on the histories.
    """
    assert verdict == study.verdict(theirs, ours)


def test_table_has_every_rule_that_the_study_scored():
    """
    Twenty rules, forty rows, and no cell that cannot be read.
    """
    rows = study.table()

    assert 40 == len(rows)
    assert {note for note in study.NOTES if note in rows[0]} == set(study.NOTES) - {"C18", "C19", "C20"}
    assert all(study.verdict(row[note], row[note]) == "same" for row in rows for note in study.NOTES if note in row)


def test_row_of_the_nearest_version():
    """
    Where the study has two versions of a trimmer, each is compared with its own.
    """
    window = "SlidingWindowConversationManager"
    old = trimmer(window, framework="strands", packages={"strands-agents": "0.2.1"})
    new = trimmer(window, framework="strands", packages={"strands-agents": "1.70.0"})

    assert ["strands-agents 0.2.1", "strands-agents 1.62.0"] == [
        (study.row_of(each) or {})["version"] for each in (old, new)
    ]


def test_compared_cells():
    """
    Each rule that both tables have is compared, and nothing else.
    """
    cells = {"LR104": Cell(applied=10, broken=10), "LR115": Cell(applied=10, broken=10)}

    found = {cell.note: cell for cell in study.compared([trimmer(cells=cells)])}

    assert 20 == len(found)
    assert ("ok", "100", "differs") == (found["C06"].theirs, found["C06"].ours, found["C06"].verdict)


def test_trimmers_that_the_study_does_not_have():
    """
    A trimmer of our own is compared with nothing.
    """
    assert [] == list(study.compared([trimmer("ours")]))


@pytest.mark.parametrize(
    ("kind", "history"),
    [
        ("", "S U C2 T T A U"),
        ("a result that comes after somebody has spoken again", "U C1 U T"),
        ("a giant message", "U! A"),
        ("ids that are used again", "U C1= T U C1= T"),
    ],
)
def test_unusual_histories_have_a_name(kind: str, history: str):
    """
    What is unusual about the smallest case explains a cell better than a number.
    """
    assert kind == kind_of(Example(history=history, messages=4, limit=2, result="", because=""))


def test_explanations_are_of_rules_that_there_are():
    """
    An explanation is found by the number of a rule and the name of a trimmer, so both have to be right.
    """
    notes = {rule.note for rule in RULES.values()}
    names = {row["trimmer"] for row in study.table()} | {"reference"}

    assert {note for _, note in [*WHY, *LONG]} <= notes
    assert {name for name, _ in [*WHY, *LONG]} <= names
