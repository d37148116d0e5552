"""What users ask for in words: durations, stages, pauses, arrivals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.load.asked import BadWish, arrivals, duration, stages, think
from looprig.load.plan import Arrivals, Stage, Think


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("500ms", 0.5), ("5m", 300), ("1h30m", 5400), ("1.5 s", 1.5), ("0s", 0)]
)
def test_duration(text: str, seconds: float):
    """
    Durations are read into seconds.
    """
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "60", "s", "6 0x", "1d", "-5s", "5s!", "5s soon"])
def test_no_duration(text: str):
    """
    A number without its unit, and anything else, is refused with what would be right.
    """
    with pytest.raises(BadWish, match="is no duration; write one such as 60s"):
        duration(text)


@given(hours=st.integers(0, 50), minutes=st.integers(0, 59), seconds=st.integers(0, 59))
def test_durations_add_up(hours: int, minutes: int, seconds: int):
    """
    Parts of a duration add up.
    """
    assert duration(f"{hours}h{minutes}m{seconds}s") == 3600 * hours + 60 * minutes + seconds


def test_stages():
    """
    Stages hold a value, or go from one to another.
    """
    assert stages("30s:2, 1m:2-10,500ms:0.5") == (
        Stage(duration_s=30, start=2, end=2),
        Stage(duration_s=60, start=2, end=10),
        Stage(duration_s=0.5, start=0.5, end=0.5),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no stage"),
        ("30s", "is no stage"),
        ("30s:2,", "'' is no stage"),
        ("30:2", "'30' is no duration"),
        ("0s:2", "lasts for no time"),
        ("5s:0,5s:0-0", "asks for nothing at all times"),
        ("5s:-3", "is no stage"),
    ],
)
def test_no_stages(text: str, said: str):
    """
    What is no stage is named.
    """
    with pytest.raises(BadWish, match=said):
        stages(text)


def test_think():
    """
    A median alone is kept to; with a sigma pauses spread; none at all is possible.
    """
    assert think("2s") == Think(median_s=2, sigma=0)
    assert think("18s, 1.25") == Think(median_s=18, sigma=1.25)
    assert think("0") == Think(median_s=0, sigma=0)


def test_arrivals():
    """
    Arrivals are of three kinds.
    """
    assert arrivals("poisson", 9) == Arrivals(in_flight_most=9)
    assert arrivals("constant") == Arrivals(kind="constant")
    assert arrivals("gamma:0.5") == Arrivals(kind="gamma", shape=0.5)


@pytest.mark.parametrize("text", ["gamma", "gamma:0", "uniform", ""])
def test_no_arrivals(text: str):
    """
    Others are refused with those that there are.
    """
    with pytest.raises(BadWish, match="write poisson, constant, or gamma:SHAPE"):
        arrivals(text)
