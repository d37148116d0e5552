"""The working day against the published figures that its docstring names.

Tolerances are about four standard errors of the sample, and wider where the published figure itself is rounded.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import mean, pstdev, quantiles

import pytest

from looprig.content import ScenarioFile, standard
from looprig.scenario import Scenario


@pytest.fixture(scope="module")
def crowd() -> Scenario:
    """Four thousand people with one conversation each: 25,000 turns."""
    file = ScenarioFile("working_day", standard("scenarios") / "working_day.py")
    return file.make(3, {"sessions": "4000", "conversations": "1"})


def percentiles(values: list[float]) -> list[float]:
    """Return the 1st to the 99th percentile at the indices 1 to 99."""
    return [0.0, *quantiles(values, n=100)]


def test_turns_of_a_conversation(crowd: Scenario):
    """
    31 % have one turn; mean 6.2, median 3, 75th percentile 7, 90th 15, 95th 22, 99th 52, and none above 80.
    """
    counts: list[float] = list(Counter(turn.session for turn in crowd.turns).values())
    at = percentiles(counts)

    # round() makes the short ones of "else" into single turns too.
    assert 0.31 <= counts.count(1) / len(counts) < 0.35
    assert 6.2 == pytest.approx(mean(counts), abs=0.3)
    assert (3, 7) == (at[50], at[75])
    assert [15, 22, 52] == pytest.approx([at[90], at[95], at[99]], abs=3)
    assert max(counts) <= 80


def test_user_messages(crowd: Scenario):
    """
    Median about e^4.6 = 99 characters, e^5 = 148 for the first of a conversation; 2 % are pasted blocks.
    """
    first: list[float] = []
    later: list[float] = []
    greeted = set()
    for turn in crowd.turns:
        (later if turn.session in greeted else first).append(len(turn.say.partition(" ")[2]))
        greeted.add(turn.session)

    # The pasted blocks move the median of the rest up by about 3 %.
    assert 153 == pytest.approx(percentiles(first)[50], rel=0.12)
    assert 102 == pytest.approx(percentiles(later)[50], rel=0.06)
    assert 640 == pytest.approx(percentiles(later)[90], rel=0.12)
    assert max(first + later) <= 20_000
    assert 0.02 < sum(chars >= 5_000 for chars in later) / len(later) < 0.03


def test_answers(crowd: Scenario):
    """
    Median 310 tokens of four characters; the 90th percentile near ShareGPT's 2624 characters; at most 1000 tokens.
    """
    at = percentiles([float(len(turn.answer)) for turn in crowd.turns])

    assert 1240 == pytest.approx(at[50], rel=0.03)
    assert 2624 == pytest.approx(at[90], rel=0.04)
    assert max(len(turn.answer) for turn in crowd.turns) <= 4000


def test_think_times(crowd: Scenario):
    """
    Inside a conversation: median 60 s, sigma 1, at most 300 s.
    """
    greeted: set[int] = set()
    pauses = []
    for turn in crowd.turns:
        if turn.session in greeted:
            pauses.append(turn.pause_s)
        greeted.add(turn.session)
    at = percentiles(pauses)

    assert 60 == pytest.approx(at[50], rel=0.04)
    assert 60 / 2.718 == pytest.approx(at[16], rel=0.06)
    assert max(pauses) <= 300


def test_tools(crowd: Scenario):
    """
    30 % of the turns call tools: rounds halve in number up to 8, 1 to 3 calls each, 1 % fail, 2 % take 5 s.
    """
    depths = Counter(len(turn.rounds) for turn in crowd.turns)
    widths = Counter(len(round_.calls) for turn in crowd.turns for round_ in turn.rounds)
    calls = [call for turn in crowd.turns for round_ in turn.rounds for call in round_.calls]
    with_tools = len(crowd.turns) - depths[0]

    assert 0.30 == pytest.approx(with_tools / len(crowd.turns), abs=0.012)
    assert 0.5 == pytest.approx(depths[1] / with_tools, abs=0.025)
    assert 0.25 == pytest.approx(depths[2] / with_tools, abs=0.025)
    assert max(depths) <= 8
    assert {1, 2, 3} == set(widths)
    assert 0.01 == pytest.approx(sum(call.outcome == "raise" for call in calls) / len(calls), abs=0.004)
    assert 0.02 == pytest.approx(sum(call.duration_s == 5.0 for call in calls) / len(calls), abs=0.005)
    assert 0.3 == pytest.approx(percentiles([call.duration_s for call in calls])[50], rel=0.06)


def test_arrivals(crowd: Scenario):
    """
    Conversations begin over eight hours, with gaps whose CV is 1.2.
    """
    begins = sorted({turn.session: turn.pause_s for turn in reversed(crowd.turns)}.values())
    gaps = [later - earlier for earlier, later in pairwise(begins)]

    assert 8 * 3600 == pytest.approx(begins[-1], rel=0.08)
    assert 1.2 == pytest.approx(pstdev(gaps) / mean(gaps), abs=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_a_default_day(seed: int, make):
    """
    By default six people say 300 to 900 messages; all have a system prompt, once and first.
    """
    scenario = make("working_day", seed=seed)
    said = sum(2 + len(t.system) + sum(1 + len(r.calls) for r in t.rounds) for t in scenario.turns)
    firsts = {turn.session: turn for turn in reversed(scenario.turns)}

    assert 300 <= said <= 900
    assert set(range(6)) == set(firsts)
    assert [turn for turn in scenario.turns if turn.system] == sorted(firsts.values(), key=scenario.turns.index)


def test_sessions_are_interleaved_in_time(make):
    """
    Turns stand in the order in which they are due, so that sessions alternate.
    """
    due: dict[int, float] = {}
    times = []
    turns = make("working_day").turns
    for turn in turns:
        due[turn.session] = due.get(turn.session, 0.0) + turn.pause_s
        times.append(due[turn.session])
    switches = sum(one.session != other.session for one, other in pairwise(turns))

    assert times == pytest.approx(sorted(times))
    assert switches > len(turns) / 4


def test_pace(make):
    """
    A pace scales the pauses and changes nothing else; at 0 nobody waits.
    """
    day, short, none = (make("working_day", pace=pace) for pace in (1.0, 0.01, 0.0))

    assert [turn.say for turn in day.turns] == [turn.say for turn in short.turns] == [turn.say for turn in none.turns]
    assert [turn.pause_s / 100 for turn in day.turns] == pytest.approx([turn.pause_s for turn in short.turns])
    assert {0.0} == {turn.pause_s for turn in none.turns}
