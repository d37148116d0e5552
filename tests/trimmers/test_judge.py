"""The rules of a trim: each is broken by what it is against, and holds where it should."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from looprig.invariants import RULES as INVARIANTS
from looprig.messages import Message
from looprig.trimmers.contract import TrimContract
from looprig.trimmers.driver import play
from looprig.trimmers.judge import RULES, judge
from looprig.trimmers.letters import build, read
from looprig.trimmers.trial import Trial
from tests.trimmers.planted import FAULTS, cases, subject


def trial(letters: str, kept: Sequence[int], limit: int = 4, **promises) -> Trial:
    """Return the trial of which come back these messages of the history."""
    given = build(read(letters))
    return Trial(given, [given[at] for at in kept], TrimContract(limit=limit, **promises))


def broken(one: Trial) -> set[str]:
    return {code for code, because in judge(one).items() if because is not None}


def test_every_rule_has_a_planted_fault():
    """
    No rule is without a trimmer that breaks it.
    """
    assert set(RULES) == set(FAULTS)


@pytest.mark.parametrize("code", FAULTS)
def test_planted_fault(code: str):
    """
    A trimmer with one fault breaks the rule against it, and beside that only what it cannot help breaking.
    """
    fault = FAULTS[code]
    findings = play(subject(fault), cases())

    assert code in findings.broken
    assert {code, *fault.also} >= set(findings.broken)
    assert len(findings.examples[code].letters) <= 8


@pytest.mark.parametrize(
    ("letters", "kept", "limit", "expected"),
    [
        ("U C1 T U", (0, 2, 3), 3, {"LR121", "LR114", "LR201", "LR203", "LR204"}),
        ("S U A U", (2, 3), 2, {"LR101", "LR104", "LR203"}),
        ("S U C1 T", (0,), 3, {"LR102", "LR112", "LR113", "LR203", "LR204"}),
        ("U C1 T", (1, 2), 2, {"LR102", "LR104", "LR203", "LR204"}),
        ("S U C1", (0,), 2, {"LR102", "LR103", "LR112", "LR113"}),
        ("U A U", (0, 1, 2), 3, set()),
        ("U A U", (2,), 2, set()),
        ("U A U A U", (2, 3, 4), 3, set()),
    ],
)
def test_cuts_of_the_study(letters: str, kept: Sequence[int], limit: int, expected: set[str]):
    """
    The smallest cases of published trimmers break what they are known for.
    """
    found = broken(trial(letters, kept, limit)) - {"LR108"}

    assert expected == found


@pytest.mark.parametrize(
    ("letters", "kept"),
    [
        ("U T A U", (0, 1, 3)),
        ("A U A U", (2, 3)),
        ("U C2 T U", (0, 1, 2, 3)),
        ("A C1 T", (1, 2)),
    ],
    ids=["orphan in the input", "starts with an answer", "unanswered call in the input", "no question at all"],
)
def test_inherited_faults_are_not_blamed(letters: str, kept: Sequence[int]):
    """
    What was wrong before the trim is not the trimmer's fault.
    """
    relational = {"LR121", "LR122", "LR104", "LR102", "LR201", "LR203", "LR204"}

    assert set() == broken(trial(letters, kept)) & relational


def test_limit_that_cannot_be_kept():
    """
    A size above the limit is no fault where what must be kept is larger.
    """
    assert "LR105" not in judge(trial("S U C2 T T", range(5), limit=4))
    assert judge(trial("S U A U C2 T T", range(7), limit=5))["LR105"] is not None


def test_reused_id_does_not_hide_an_orphan():
    """
    A later call with the same id is not the one that an earlier result answers.
    """
    assert judge(trial("U C1= T A U C1= T", (2, 3, 4, 5, 6)))["LR121"] is not None


def test_promises():
    """
    Pins are apart from the suffix and declared notes from what was said; a rule that is not promised is not judged.
    """
    pinned = trial("U A U A U", (0, 4), pins=("first_user",))
    note = Message(role="system", content="(left out) 3 messages")
    noted = Trial(pinned.given, [note, pinned.given[4]], TrimContract(limit=4, notes=("(left out)",)))

    assert judge(pinned)["LR108"] is None
    assert judge(noted)["LR131"] is None
    assert judge(noted)["LR117"] is None
    assert judge(Trial(noted.given, noted.result, TrimContract(limit=4)))["LR131"] is not None
    assert "LR117" not in judge(pinned)
    assert "LR110" not in judge(
        Trial(pinned.given, pinned.result, TrimContract(limit=4, mode="inplace"), touched="yes")
    )


def test_bad_pin():
    """
    A pin that does not exist is refused, with those that do.
    """
    with pytest.raises(ValueError, match="'last' is no pin; write first_user, or head:3"):
        TrimContract(limit=4, pins=("last",))


@pytest.mark.parametrize(("unit", "size"), [("messages", 6), ("tokens", 60), ("turns", 1), ("groups", 3)])
def test_units(unit, size: int):
    """
    A history's size is counted in the contract's unit.
    """
    assert size == TrimContract(limit=1, unit=unit).size(build(read("S U C2 T T A")))
    assert 3 == TrimContract(limit=1, unit=lambda messages: len(messages) / 2).size(build(read("S U C2 T T A")))


def test_codes_are_those_of_the_invariants():
    """
    A rule has the code and, where it is the same rule, the name of the invariant of the same idea.
    """
    same = {code for code, rule in RULES.items() if code in INVARIANTS and rule.name == INVARIANTS[code].name}

    assert same >= {"LR101", "LR102", "LR104", "LR108", "LR109", "LR111", "LR112", "LR115", "LR116", "LR117", "LR121"}
