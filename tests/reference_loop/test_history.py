"""The history: its listeners, its check schedule, its requests."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message
from reference_loop import Config
from reference_loop.history import History
from reference_loop.policies import POLICIES
from reference_loop.policies.base import Policy

U, A, S = Message(role="user", content="u"), Message(role="assistant", content="a"), Message(role="system", content="s")


class Events(list[tuple[int, ...]]):
    def appended(self, length: int) -> None:
        self.append((length,))

    def trimmed(self, before: int, after: int, pause_ns: int) -> None:
        assert pause_ns >= 0
        self.append((before, after))


def test_listener():
    """
    A listener hears of each append before the trim that it sets off, and then of the trim.
    """
    history, events = History(Config(policy="incremental", max_history_pairs=0).new_policy()), Events()
    history.observe(events)
    for _ in range(9):
        history.append(U)

    assert [(1,), (2,), (3,), (4,), (5,), (6,), (7,), (8,), (8, 1), (2,)] == events


@given(st.integers(1, 7), st.integers(0, 40))
def test_check_schedule(check_every: int, appends: int):
    """
    The trigger is checked after append number 0, check_every, twice check_every and so on, and at no other.
    """
    checked: list[int] = []

    class Asked(Policy):
        def trim(self, turn_over):
            checked.append(len(self.tail) - 1)

    policy = Asked(0)
    policy.due = 0
    history = History(policy, check_every=check_every)
    for _ in range(appends):
        history.append(U)

    assert list(range(0, appends, check_every)) == checked


def test_history_that_was_read():
    """
    What was read of a history does not change when the history does.
    """
    history = History(Config().new_policy())
    history.append(U)
    before = tuple(history.request())
    history.append(A)

    assert (U,) == before
    assert 2 == len(history)


@pytest.mark.parametrize(
    ("messages", "request_"),
    [((U, A, U), [U, A, S, U]), ((U, A), [S, U, A]), ((A,), [A])],
    ids=["before the newest", "not at the end", "no user, no context"],
)
def test_request_with_context(messages: tuple[Message, ...], request_: list[Message]):
    """
    The context stands right before the newest user message of the request, and not in the history.
    """
    history = History(Config().new_policy())
    for message in messages:
        history.append(message)

    assert request_ == history.request(S)
    assert messages == tuple(history.request())


def test_request_is_fresh():
    """
    A model that changes its list changes no history.
    """
    history = History(Config().new_policy())
    history.append(U)
    history.request().clear()

    assert (U,) == tuple(history.request())


@pytest.mark.parametrize("policy", POLICIES)
@given(st.lists(st.sampled_from([U, A, S]), max_size=60))
def test_journal(policy: str, messages: list[Message]):
    """
    The journal hears every message once, in order and before a trim that it sets off.
    """
    history = History(Config(policy=policy, max_history_pairs=1).new_policy())
    heard: list[tuple[Message, int]] = []
    history.hears.append(lambda message: heard.append((message, len(history))))
    before = []
    for message in messages:
        before.append((message, len(history) + 1))
        history.append(message)

    assert before == heard


def test_dropped_messages_are_freed():
    """
    What a trim drops is freed by the appends that follow, two messages at a time, and all of it in the end.
    """
    history = History(Config(policy="incremental", trigger=1000, target=2).new_policy())
    messages = [Message(role="user", content=str(number)) for number in range(1600)]

    def uses() -> list[int]:
        return [sys.getrefcount(each) for each in messages]

    unused = max(uses())
    alive: list[int] = []
    for number, message in enumerate(messages, 1):
        history.append(message)
        alive.append(sum(count > unused for count in uses()) if number % 100 == 1 else 0)

    assert 1001 == alive[1000]
    assert [902, 802, 702, 602, 502] == alive[1100:1600:100]
    assert 502 + 99 == len(history)
