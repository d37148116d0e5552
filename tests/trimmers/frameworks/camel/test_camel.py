"""The frameworks of the second environment: CAMEL, and the Strands that an old pin gives."""

from __future__ import annotations

import pytest

from looprig.conformance.jobs import environments
from looprig.trimmers.frameworks import FRAMEWORKS, subjects
from tests.trimmers.frameworks.checks import breaks, grows, round_trips

HERE = [name for name in FRAMEWORKS if "camel" in environments(name)]

EVERY = {f"{name} {subject.name}": subject for name in HERE for subject in subjects(name)}


def test_frameworks_of_this_environment():
    """
    Two frameworks are tested here.
    """
    assert ["strands", "camel"] == HERE


@pytest.mark.parametrize("name", EVERY)
def test_codec_loses_nothing(name: str):
    """
    All short histories that the messages can hold come back as they went in.
    """
    held, unheld = round_trips(EVERY[name])

    assert 252 == held + unheld
    assert held >= 48


def test_history_grows_message_by_message():
    """
    A record has the time of its place in the history, also where it is added later.
    """
    grows(EVERY["camel ChatHistoryMemory(window_size)"].codec, "U C1 T A U C1 T C1 T A")


def test_window_cuts_inside_a_group():
    """
    CAMEL's window counts records, and leaves a result without its call.
    """
    assert {"LR121"} <= breaks(EVERY["camel ChatHistoryMemory(window_size)"], "U C1 T A U", 3)


def test_old_strands_takes_the_newest_message_away():
    """
    The old Strands trims after a cycle, and takes away what the user has just said.
    """
    assert {"LR102", "LR112"} <= breaks(EVERY["strands SlidingWindowConversationManager"], "U C1 T A U", 2)
