"""Whole agent runs with a trimmer as the loop's history policy: counts are exact, since the model is scripted."""

from __future__ import annotations

from typing import Any

import pytest

from looprig.messages import Message
from looprig.trimmers.agent import RUNS, play_all, play_run
from looprig.trimmers.baseline import SUBJECTS, reference
from looprig.trimmers.contract import DictsCodec, Subject, contract_in

NAIVE = {subject.name: subject for subject in SUBJECTS}


@pytest.mark.parametrize("name", ["reference", "reference (tokens)"])
def test_reference_in_a_run(name: str):
    """
    The reference loses nothing in any run, and no provider would refuse one of its requests.
    """
    for seen in play_all(NAIVE[name]):
        lost = (seen.system_lost, seen.user_lost, seen.emptied)

        assert ({"OpenAI": 0, "Anthropic": 0, "Gemini": 0}, (0, 0, 0)) == (seen.refused, lost)
        assert ("", {}) == (seen.trouble, seen.broken)
        assert seen.count > 20


def test_chain():
    """
    In a turn of 100 calls a window of 20 messages loses the question from the eleventh request on.

    An even window over calls and results never cuts inside a pair: that OpenAI takes all of it is luck.
    """
    seen = play_run(NAIVE["deque(maxlen)"], "chain")

    assert (101, 91, 20) == (seen.count, seen.user_lost, seen.peak)
    assert {"OpenAI": 0, "Anthropic": 91, "Gemini": 91} == seen.refused
    assert 91 == seen.broken["LR102"]


def test_mixed_traffic_agrees_with_the_study():
    """
    Of a run of mixed traffic the naive trim spoils about what the study of published trimmers found, in percent.
    """
    seen = play_run(NAIVE["head and tail"], "agent")
    shares = [100 * number / seen.count for number in seen.refused.values()]

    assert [30, 76, 55] == pytest.approx(shares, abs=5)


def test_trimmed_to_nothing():
    """
    Where only the system message is left there is nothing to ask; the request is counted, and the turn ends.
    """
    gone = Subject(name="mine", make=lambda limit: lambda history: history if len(history) <= limit else history[:1])
    seen = play_run(gone, "chain")

    assert 1 == seen.emptied == seen.user_lost
    assert 11 == seen.count


def test_turn_that_starts_over():
    """
    A trim that leaves the question alone makes the model begin again, and the turn is stopped.
    """

    def forgetful(limit: int) -> Any:
        return lambda history: (
            history if len(history) <= limit else [m for m in history if m.role in ("system", "user")]
        )

    seen = play_run(Subject(name="mine", make=forgetful), "chain")

    assert "TurnStopped" in seen.trouble
    assert "LR153" in seen.broken or "LR103" in seen.broken


class Joined(DictsCodec):
    """Adds messages by a method of its own."""

    def extend(self, native: list[Any], messages: list[Message]) -> list[Any]:
        return native + self.load(messages)


@pytest.mark.parametrize("mode", ["pure", "view", "inplace"])
def test_modes(mode: Any):
    """
    What is remembered between the requests is the result, or the whole store of a view; the requests are the same.
    """

    def make(limit: int) -> Any:
        def trim(history: list[dict[str, Any]]) -> Any:
            left = DictsCodec().load(reference(limit)(DictsCodec().dump(history)))
            if mode != "inplace":
                return left
            history[:] = left
            return None

        return trim

    subject = Subject(name="mine", make=make, contract=contract_in("messages", mode=mode), codec=Joined())
    seen = play_run(subject, "agent")

    assert ("", {}, 84) == (seen.trouble, seen.broken, seen.count)


def test_raising_trimmer():
    """
    A trimmer that raises ends its turns, and the run says what it raised.
    """

    def raises(_: list[Message]) -> list[Message]:
        raise IndexError("list index out of range")

    seen = play_run(Subject(name="mine", make=lambda _: raises), "agent")

    assert "IndexError: list index out of range" in seen.trouble
    assert 0 == seen.count


def test_system_apart():
    """
    A framework that holds system messages apart is sent them in front of what the trimmer leaves.
    """
    apart = contract_in("messages", system_apart=True)
    seen = play_run(Subject(name="mine", make=reference, contract=apart), "agent")

    assert 0 == seen.system_lost
    assert 21 >= seen.peak


def test_runs_are_what_they_say():
    """
    The runs are mixed traffic of 200 messages, one turn of 100 calls, and many calls at once.
    """
    assert 200 <= len(RUNS["agent"].split()) < 210
    assert "U (C1 T)x100 A" == RUNS["chain"]
    assert "C8" in RUNS["parallel"]
