"""A staircase ends when three of its steps in a row were too bad, and the last good one is known."""

from __future__ import annotations

import pytest

from looprig.load.giving_up import gives_up, good_shares, last_good
from looprig.load.stages import hold, steps

STAIRS = steps(1, 1, 5, 2.0)


def test_shares():
    """
    A stage's share is of the turns that ended in its seconds, however they ended; stages that go on have none yet.
    """
    series = {
        "0": {"finished": 4, "good": 4},
        "1": {"finished": 2, "good": 1},
        "2": {"finished": 1, "failed": 3, "good": 1},
        "5": {"dropped": 2},
        "6": {"finished": 9, "good": 9},
    }

    assert [5 / 6, 0.25, 0.0] == good_shares(STAIRS, series, 7.5)


def test_a_stage_in_which_nothing_ended():
    """
    A stage without an end of a turn has no share, and seconds that two stages share belong to neither.
    """
    assert [None, None] == good_shares((*hold(1, 0.5), *hold(2, 0.7)), {"0": {"finished": 1, "good": 1}}, 10)


@pytest.mark.parametrize(
    ("shares", "stops", "best"),
    [
        ([], False, None),
        ([0.1, 0.1], False, None),
        ([0.1, 0.1, 0.1], True, None),
        ([1.0, 0.9, 0.1, 0.1], False, 2),
        ([1.0, 0.1, 0.1, 0.95], False, 4),
        ([1.0, 1.0, 0.1, None, 0.1], True, 2),
        ([None, None, None], False, None),
    ],
)
def test_three_bad_steps_are_enough(shares, stops, best):
    """
    One or two bad steps may be bad luck; three end the staircase. Before anything has ended, nothing is bad.
    """
    assert stops is gives_up(shares, 0.9)
    found = last_good(STAIRS, shares, 0.9)
    assert best == (None if found is None else found.start)
