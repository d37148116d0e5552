"""What users say is the scenario's; how long they think follows the plan; and thousands of them are cheap."""

from __future__ import annotations

import math
import statistics

import pytest

from looprig.content import ContentError, make_scenario
from looprig.load.plan import Plan, Talk, Think
from looprig.load.talks import SCRIPTS_MOST, Talks, seed_of, think_s


def plan(**talk) -> Plan:
    return Plan(url="http://127.0.0.1:1", seed=5, talk=Talk(**talk))


def test_texts_are_those_of_the_scenario_and_its_seed():
    """
    A session says what the scenario of the seed that is told to the service makes its user say.
    """
    ours = plan(parameters={"messages": "21"})

    said = list(Talks(ours).texts(3))

    assert said == [t.say for t in make_scenario("long_conversation", seed_of(ours, 3), {"messages": "21"}).turns]
    assert said


def test_turns_most():
    """
    A session ends after the plan's turns, and a scenario that is shorter ends by itself.
    """
    assert 2 == len(list(Talks(plan(turns=2)).texts(0)))
    assert 1 == len(list(Talks(plan(turns=50, parameters={"messages": "3"})).texts(0)))


def test_scripts_come_round_again():
    """
    Sessions are cheap, since no more than so many scripts are made; neighbours say different things.
    """
    talks = Talks(plan(turns=3))
    said = [tuple(talks.texts(number)) for number in range(3 * SCRIPTS_MOST)]

    assert SCRIPTS_MOST == len(set(said))
    assert said[:SCRIPTS_MOST] == said[SCRIPTS_MOST : 2 * SCRIPTS_MOST]


def test_one_person_of_a_scenario_with_several():
    """
    Of a scenario in which several people talk, a session plays one.
    """
    talks = Talks(plan(scenario="working_day"))

    assert {"[#s0"} == {text[:4] for text in talks.texts(0)}


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        ({"scenario": "long_conversatoin"}, "did you mean long_conversation"),
        ({"parameters": {"mesages": "3"}}, "has no parameter 'mesages'"),
        ({"parameters": {"messages": "many"}}, "takes a whole number"),
    ],
)
def test_a_scenario_that_cannot_be_had(talk, said):
    """
    What is wrong with the scenario is said before anybody arrives.
    """
    with pytest.raises(ContentError, match=said):
        Talks(plan(**talk))


def test_thinking():
    """
    Think times are lognormal with the plan's median and sigma, never above the cap, and scaled as a whole.
    """
    talks = Talks(plan(think=Think(median_s=10, sigma=1.0, most_s=100, scale=0.5)))
    times = [talks.manner(number).next_turn()[0] for number in range(4000)]

    logs = [math.log(time / 5) for time in times if time < 50]
    assert statistics.median(times) == pytest.approx(5, rel=0.1)
    assert statistics.pstdev(logs) == pytest.approx(1.0, rel=0.08)
    assert max(times) == 50


def test_manners_are_repeatable_and_do_not_shift_each_other():
    """
    The same session behaves the same in every process; that users leave does not change how long they think.
    """
    one = [Talks(plan()).manner(4).next_turn() for _ in range(2)]
    leaving = Talks(plan(abandon=1.0)).manner(4).next_turn()

    assert one[0] == one[1]
    assert (one[0][0], None) == one[0]
    assert leaving[0] == one[0][0]
    assert leaving[1] in range(1, 11)


def test_share_of_those_who_leave():
    """
    As many leave as the plan says.
    """
    talks = Talks(plan(abandon=0.25))
    left = [talks.manner(number).next_turn()[1] for number in range(4000)]

    assert sum(after is not None for after in left) / 4000 == pytest.approx(0.25, abs=0.03)


def test_the_first_wait_does_not_begin_in_step():
    """
    Met at a random moment, users type from the first second on at the rate they keep: within 20 % of one in a mean
    pause, where no cap cuts the pauses.
    """
    think = Think(median_s=1.0, sigma=0.8, most_s=1e9)
    talks = Talks(plan(think=think))
    waits = [talks.manner(number).first_wait_s() for number in range(6000)]
    mean = math.exp(0.8**2 / 2)

    early = sum(wait < 0.1 for wait in waits) / 0.1
    assert early / len(waits) == pytest.approx(1 / mean, rel=0.2)


def test_no_thinking():
    """
    A median of 0, or a scale of 0, is no pause.
    """
    assert 0 == think_s(Think(median_s=0), 3.0) == think_s(Think(scale=0), 3.0)
