"""Playing a trimmer: whatever it does, what is counted, and that each case can be played again."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Sequence
from typing import Any

import pytest

from looprig.messages import Message
from looprig.trimmers.baseline import SUBJECTS, newest, reference
from looprig.trimmers.call import Caller, facts
from looprig.trimmers.contract import (
    CODECS,
    DictsCodec,
    MessagesCodec,
    NotRepresentable,
    Subject,
    contract_in,
    lost_by,
)
from looprig.trimmers.driver import Findings, Played, chosen, one, play
from looprig.trimmers.histories import Case, long, short
from looprig.trimmers.letters import build, read
from looprig.trimmers.shrink import smaller
from looprig.trimmers.trial import Trial

NAIVE = {subject.name: subject for subject in SUBJECTS}


@functools.cache
def played(name: str) -> Findings:
    """Play a trimmer of the self-test over everything, once for all tests."""
    return play(NAIVE[name])


def few(subject: Subject, text: str = "S U A U C1 T A U", limits: Sequence[int] = (2, 4, 20)) -> Findings:
    return play(subject, chosen(subject, text, limits))


@pytest.mark.parametrize("name", ["reference", "reference (tokens)"])
def test_reference_keeps_every_rule(name: str):
    """
    All rules can hold at once, also where one chain of calls is longer than the limit.
    """
    findings = played(name)

    assert {} == dict(findings.broken)
    assert 2283 == findings.runs
    assert findings.worst_size <= 1


def test_naive_trimmers_break_what_they_are_known_for():
    """
    Between them the naive trimmers break the six rules that a careful one is for, and each shows it in six messages.
    """
    found = [played(name) for name in ("head and tail", "deque(maxlen)", "h[-n:]")]

    assert {"LR101", "LR121", "LR102", "LR104", "LR108", "LR114"} <= set().union(*(one.broken for one in found))
    assert 6 >= max(len(example.letters) for one in found for example in one.examples.values())
    assert found[1].broken == found[2].broken


@pytest.mark.parametrize(
    ("code", "percent"), [("LR101", 88), ("LR102", 18), ("LR104", 67), ("LR114", 21), ("LR201", 21), ("LR203", 70)]
)
def test_deque_agrees_with_the_study(code: str, percent: int):
    """
    How often a deque breaks a rule is about what the study of published trimmers found, whose histories are others.
    """
    findings = played("deque(maxlen)")

    assert percent == pytest.approx(100 * findings.broken[code] / findings.applied[code], abs=5)


@pytest.mark.parametrize("name", ["head and tail", "deque(maxlen)"])
def test_replays_reproduce(name: str):
    """
    The smallest case of each broken rule, played again from its letters, breaks it for the same reason.
    """
    subject = NAIVE[name]
    findings = played(name)

    for code, example in findings.examples.items():
        again = play(subject, chosen(subject, example.history, [example.limit]))
        assert (example.because, example.result) == (again.examples[code].because, again.examples[code].result)


# ---------------------------------------------------------------------------------------------------------------------
# All the ways to return


async def later(history: list[Message]) -> list[Message]:
    left: list[Message] = reference(4)(history)
    return left


def in_place(history: list[Message]) -> None:
    history[:] = reference(4)(history)


class Memory:
    """Keeps what it is given, and shows the end of it."""

    def __init__(self) -> None:
        self.store: list[Message] = []

    def __call__(self, history: list[Message]) -> list[Message]:
        self.store += history[len(self.store) :]
        left: list[Message] = reference(4)(self.store)
        return left


@pytest.mark.parametrize(
    ("make", "mode"),
    [
        (lambda _: reference(4), "pure"),
        (lambda _: later, "pure"),
        (lambda _: in_place, "inplace"),
        (lambda _: Memory(), "view"),
        (lambda _: lambda history: None if len(history) <= 4 else reference(4)(history), "pure"),
    ],
    ids=["a list", "a coroutine", "in place", "a view of its own", "None for unchanged"],
)
def test_ways_to_return(make, mode):
    """
    A trimmer may be a coroutine, change the list, return None, or keep a store of its own: the verdict is the same.
    """
    findings = few(Subject(name="mine", make=make, contract=contract_in("messages", mode=mode)), limits=(4,))

    assert 1 == findings.runs
    assert {} == dict(findings.broken)


@pytest.mark.parametrize(
    ("trimmer", "because"),
    [
        (lambda _: ()[len(_)], "it raised IndexError: tuple index out of range"),
        (lambda _: "text", "it returned a list with str in it, where messages belong"),
        (lambda _: 3, "it returned int, which is no history: TypeError: 'int' object is not iterable"),
        (lambda _: exit(1), "it raised SystemExit: 1"),
    ],
)
def test_what_goes_wrong(trimmer, because: str):
    """
    A trimmer that raises or returns something else breaks one rule, and nothing else is judged of that call.
    """
    findings = few(Subject(name="mine", make=lambda _: trimmer), limits=(4,))

    assert {"LR151": 1} == findings.applied == findings.broken
    assert because == findings.examples["LR151"].because


def test_hanging_trimmer():
    """
    A call that does not come back is stopped, whatever it catches, and counts as one that failed.
    """

    def hangs(_: list[Message]) -> None:
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)

    subject = Subject(name="mine", make=lambda _: hangs)
    with Caller(limit_s=0.1) as caller:
        found = one(subject, Case(("U",), 4), caller)

    assert isinstance(found, Played)
    assert {"LR151": "it did not return within 0.1 s"} == found.verdicts
    assert 1 == caller.timed_out


def test_changed_input_is_noticed():
    """
    A trimmer that writes into the messages that it was given is found, although it returns the right ones.
    """

    def marks(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
        history[-1]["seen"] = True
        return history

    findings = few(Subject(name="mine", make=lambda _: marks, codec=DictsCodec()), limits=(20,))

    assert "messages that it was given were changed" == findings.examples["LR110"].because


def test_facts_tell_apart():
    """
    Objects are compared by what is in them, however deep.
    """

    class Part:
        def __init__(self, value: object) -> None:
            self.value = value

    one = Part([{"a": Part(1)}])
    before = facts(one)
    one.value[0]["a"].value = 2  # type: ignore[index]

    assert before != facts(one)
    assert facts(Part({1, 2})) == facts(Part({2, 1}))


# ---------------------------------------------------------------------------------------------------------------------
# Codecs


@pytest.mark.parametrize("name", CODECS)
def test_codecs_lose_nothing(name: str):
    """
    Every history that is played survives the round trip through the plain codecs.
    """
    for letters in [*short(), *(letters for _, letters in long(range(0, 8, 3), range(1)))]:
        assert lost_by(CODECS[name], build(letters)) is None


class OneCall(MessagesCodec):
    """Holds one call at a time, and forgets what is written beside a call."""

    def load(self, messages: Sequence[Message]) -> list[Any]:
        if any(len(message.tool_calls) > 1 for message in messages):
            raise NotRepresentable("one call at a time")
        return list(messages)

    def dump(self, native: Sequence[Any]) -> list[Message]:
        return [message for message in native if message.role != "system"]


def test_what_a_codec_cannot_hold_is_not_blamed():
    """
    A history that the messages cannot hold, or not without loss, is not played; it is counted by itself.
    """
    subject = Subject(name="mine", make=newest, codec=OneCall())

    assert (0, 1, 0) == ((found := few(subject, "U C2 T T", (4,))).runs, found.unheld, found.altered)
    assert (0, 0, 1) == ((found := few(subject, "S U", (4,))).runs, found.unheld, found.altered)
    assert "2 messages come back as 1" == found.altered_because
    assert 1 == few(subject, "U C1 T", (4,)).runs


# ---------------------------------------------------------------------------------------------------------------------
# Smaller cases


def test_shrinking():
    """
    A long case becomes one of the fewest messages and the smallest limit that still shows it.
    """

    def loses_a_call(case: Case) -> bool:
        history = build(case.letters)
        result = history[-case.limit :]
        return any(result and message.role == "tool" for message in result[:1]) and len(history) > case.limit

    found = smaller(Case(read("S U C8 (T)x8 A U C1 T"), 9), (1, 2, 5, 9), loses_a_call, time.monotonic() + 10)

    assert (("C1", "T"), 1) == (found.letters, found.limit)


def test_time_for_a_trimmer():
    """
    Where the time is over not all cases are played, and the findings say so.
    """
    assert "the time for it was over" == play(NAIVE["h[-n:]"], budget_s=0).cut_short


def test_a_result_is_matched_from_the_end():
    """
    Of equal messages the newest are taken for those that were kept, and what moved has no position.
    """
    one, two = Message(role="user", content="same"), Message(role="assistant", content="other")
    contract = contract_in("messages")(9)

    assert [2, 3] == Trial([one, two, one, two], [one, two], contract).at
    assert [None, 0] == Trial([one, two], [two, one], contract).at
