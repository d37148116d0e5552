"""Histories in letters: what they stand for, and that they can be written and read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message
from looprig.trimmers import histories
from looprig.trimmers.contract import tokens
from looprig.trimmers.letters import NotLetters, build, folded, read, written
from looprig.trimmers.trial import pairing

LETTERS = st.lists(st.sampled_from(["S", "U", "A", "T", "C1", "C3", "U!", "C1=", "C2!="]), min_size=1, max_size=60)


def test_history_in_letters():
    """
    Letters say who speaks; results go to the calls that wait, oldest first, and a message has about ten tokens.
    """
    history = build(read("S U C2 T T A"))

    assert ["system", "user", "assistant", "tool", "tool", "assistant"] == [message.role for message in history]
    assert [call.id for call in history[2].tool_calls] == [history[3].tool_call_id, history[4].tool_call_id]
    assert [10] * 6 == [tokens(message) for message in history]


def test_marks():
    """
    A giant is fifty times as large, and a reused id is one that was there before.
    """
    giant, first, _, second, _ = build(read("U! C1= T C1= T"))

    assert 500 == tokens(giant)
    assert first.tool_calls[0].id == second.tool_calls[0].id
    assert first != second


@given(LETTERS)
def test_no_two_messages_are_equal(letters: list[str]):
    """
    All messages of a history differ, so that a result can be matched with it by value; built again they are the same.
    """
    history = build(letters)

    assert len(letters) == len(set(history))
    assert history == build(letters)


@given(LETTERS)
def test_folded_letters_are_the_same_history(letters: list[str]):
    """
    What a replay line says is read as the history that it was written for.
    """
    assert tuple(letters) == read(folded(letters))


def test_folding_is_short():
    """
    A long chain is written in a few letters.
    """
    assert "S U (C1 T)x203" == folded(read("S U (C1 T)x203"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("U C0 T", "'C0' (number 2) is no letter"),
        ("U X", "'X' (number 2) is no letter"),
        ("", "at least one letter"),
        ("(U A)x999999", "more than 200,000 messages"),
        ("(U A", "'(U' (number 1) is no letter"),
    ],
)
def test_what_is_no_history(text: str, said: str):
    """
    A text with other letters is refused, with the place and what to write.
    """
    with pytest.raises(NotLetters) as caught:
        read(text)

    assert said in str(caught.value)


def test_written_with_what_is_strange():
    """
    What was not in the input is marked, and the middle of a long history is left out.
    """
    history = build(read("S U A U"))
    note = Message(role="user", content="a summary")

    assert "S U? U" == written([history[0], note, history[3]], history)
    assert "(nothing)" == written([])
    assert written(build(read("(U A)x20"))).count("..") == 2


def test_all_short_histories():
    """
    All 252 short histories are there, each once, and all of them can happen: no result answers nothing.
    """
    short = list(histories.short())

    assert 252 == len(short) == len(set(short))
    for letters in short:
        history = build(letters)
        orphans = [
            at for at, message in enumerate(history) if message.role == "tool" and pairing(history).is_orphan(at)
        ]
        assert [] == orphans


def test_long_histories_are_shifted():
    """
    Each kind of long history is there with eight shifts and four ends, and no two of a kind are equal.
    """
    long = list(histories.long())

    assert len(histories.LONG) * 8 * 4 == len(long)
    for kind in histories.LONG:
        mine = [letters for name, letters in long if name == kind]
        assert 8 * 4 == len(mine)
        assert len(set(mine)) > 8


def test_cases_without_system_messages():
    """
    A framework that holds system messages apart is played histories without them, each once.
    """
    cases = list(histories.cases("messages", apart=True))
    short = [(case.letters, case.limit) for case in cases if case.kind == "short"]

    assert not [case for case in cases if "S" in case.letters]
    assert 126 * len(histories.LIMITS["messages"]) == len(short) == len(set(short))
