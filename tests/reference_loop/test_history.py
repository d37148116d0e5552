"""The history: its listeners, its check schedule, its requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message
from reference_loop import Config
from reference_loop.history import History
from reference_loop.policies.base import Trim

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

    class Asked:
        trim: Trim | None = None

        def on_append(self, messages):
            checked.append(len(messages) - 1)

        def on_turn_end(self, messages):
            return None

        def promises(self):
            return {}

    history = History(Asked(), check_every=check_every)
    for _ in range(appends):
        history.append(U)

    assert list(range(0, appends, check_every)) == checked


def test_snapshot():
    """
    What was read of a history does not change when the history does.
    """
    history = History(Config().new_policy())
    history.append(U)
    before = history.snapshot()
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
    assert messages == history.snapshot()


def test_request_is_fresh():
    """
    A model that changes its list changes no history.
    """
    history = History(Config().new_policy())
    history.append(U)
    history.request().clear()

    assert (U,) == history.snapshot()
