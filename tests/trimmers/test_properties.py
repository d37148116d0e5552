"""What holds for all histories, and that a trim judged by itself is judged as it is in a run."""

from __future__ import annotations

from random import Random

from hypothesis import assume, given
from hypothesis import strategies as st

from looprig.invariants import check
from looprig.loop import Contract
from looprig.messages import Message
from looprig.trace import Request
from looprig.trimmers.baseline import reference
from looprig.trimmers.contract import TrimContract, tokens
from looprig.trimmers.judge import judge
from looprig.trimmers.letters import build
from looprig.trimmers.trial import Trial
from tests.invariants.handmade import Handmade

GROUP = st.integers(1, 4).map(lambda calls: [f"C{calls}", *["T"] * calls])
TURN = st.lists(GROUP, max_size=4).map(lambda groups: ["U", *(letter for group in groups for letter in group)])


@st.composite
def histories(draw: st.DrawFn) -> list[str]:
    """Histories that can happen: turns over, or given up, and one under way, with giants and reused ids."""
    letters = ["S"] * draw(st.integers(0, 2)) + ["A"] * draw(st.integers(0, 1))
    for turn in draw(st.lists(TURN, max_size=6)):
        letters += [*turn, *draw(st.sampled_from([["A"], []]))]
    last = draw(TURN)
    calls = draw(st.sampled_from([[], ["C1"], ["C3", "T"]]))
    marks = draw(st.sampled_from(["", "", "=", "!"]))
    return [
        letter + (marks if letter[0] in ("C" if marks == "=" else "UAT") else "")
        for letter in [*letters, *last, *calls]
    ]


@given(histories(), st.integers(1, 30), st.sampled_from(["messages", "tokens"]))
def test_reference_keeps_every_rule(letters: list[str], limit: int, unit):
    """
    Whatever the history and the limit, the reference breaks no rule.
    """
    given_ = build(letters)
    limit, cost = (limit, lambda _: 1) if unit == "messages" else (limit * 10, tokens)
    left = reference(limit, cost)(given_)
    trial = Trial(given_, left, TrimContract(limit=limit, unit=unit), again=reference(limit, cost)(left))

    assert {} == {code: because for code, because in judge(trial).items() if because is not None}


@given(histories(), st.randoms(use_true_random=False), st.integers(1, 12))
def test_judging_never_fails(letters: list[str], random: Random, limit: int):
    """
    Any list of messages can be judged, however it came about, and what is left alone within its limit is right.
    """
    given_ = build(letters)
    left = [random.choice(given_) for _ in range(random.randrange(len(given_) + 1))]
    contract = TrimContract(limit=limit)

    judge(Trial(given_, left, contract))
    found = judge(Trial(given_, given_, TrimContract(limit=len(given_)), again=given_, twin=given_, touched=""))
    assert not any(found.values())


# ---------------------------------------------------------------------------------------------------------------------
# The same trim in a run

WIDTHS = st.lists(st.lists(st.integers(1, 3), max_size=3), min_size=1, max_size=4)


class Conversation:
    """A conversation in which everything is sent, up to its last request."""

    def __init__(self, turns: list[list[int]], contract: Contract) -> None:
        self.made = Handmade(contract)
        self.history = ["S0"]
        self.made.play("system 0")
        for number, widths in enumerate(turns):
            self._turn(number, widths, last=number == len(turns) - 1)

    def _turn(self, number: int, widths: list[int], last: bool) -> None:
        self.made.play(f"turn {number} {' '.join(map(str, widths))}")
        self.history.append(f"U{number}")
        for round_, width in enumerate(widths):
            self.made.play(f"ask {' '.join(self.history)}; reply")
            self.history.append(f"C{number}.{round_}")
            self.history += [f"T{number}.{round_}{'abc'[call]}" for call in range(width)]
        if not last:
            self.made.play(f"ask {' '.join(self.history)}; reply; answer")
            self.history.append(f"A{number}")

    def messages(self) -> list[Message]:
        return [self.made.message(name) for name in self.history]

    def broken_by(self, kept: list[int]) -> set[str]:
        """Return the codes that the last request breaks when it sends only these messages."""
        events = self.made.play(f"ask {' '.join(self.history[at] for at in kept)}")
        number = sum(isinstance(event, Request) for event in events)
        return {found.code for found in check(events) if found.request == number}


AGREE = ("LR101", "LR102", "LR104", "LR105", "LR113", "LR121", "LR122")
"""Rules that both sides judge on every trim; LR108 and LR112 only where no group is torn and something is left."""


@given(WIDTHS, st.integers(1, 3), st.randoms(use_true_random=False), st.integers(1, 20), st.booleans())
def test_judged_as_in_a_run(turns: list[list[int]], width: int, random: Random, limit: int, whole: bool):
    """
    Where an invariant of a run and a rule of a trim are the same, they say the same of the same trim.
    """
    talk = Conversation([*turns, [width]], Contract(messages_max=limit))
    history = talk.messages()
    whole_cut = Trial(history, history, TrimContract(limit=limit))
    units = whole_cut.units if whole else [[at] for at in range(len(history))]
    gone = {at for unit in units if random.random() < 0.3 for at in unit}
    assume(len(gone) < len(history))
    kept = [at for at in range(len(history)) if at not in gone]
    trial = Trial(history, [history[at] for at in kept], TrimContract(limit=limit))
    mine = {code for code, because in judge(trial).items() if because is not None}
    in_a_run = talk.broken_by(kept)

    compared = set(AGREE)
    if set(trial.needed) - set(kept):
        compared -= {"LR105"}  # what had to be kept is measured by what is there
    if "LR114" not in mine:
        compared.add("LR108")
    if not mine & {"LR113", "LR114"}:
        compared.add("LR112")  # of a request without any talk a run says no more than that
    assert mine & compared == in_a_run & compared
