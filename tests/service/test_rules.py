"""Options, markers and scripts: the rules that need no server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.scenario import Place, Scenario, Turn, place_in, user_text
from looprig.service.faults import BadFault, Fault, parse_fault
from looprig.service.scripts import BadScenario, Key, Script, Scripts, Unknown, marked, unmarked
from looprig.service.settings import BadSetting, duration_of, faults_of, pace_of
from tests.service.client import talk

FAULTS = st.one_of(
    st.builds(lambda ms, every: Fault("stall", every, ms / 1000), st.integers(0, 10**6), st.integers(1, 10**6)),
    st.builds(lambda every: Fault("cut", every), st.integers(1, 10**6)),
    st.builds(lambda at, long: Fault("freeze", 1, long, at), st.integers(0, 99), st.integers(0, 99)),
)


def written(fault: Fault) -> str:
    match fault.kind:
        case "stall":
            return f"stall:ms={round(fault.for_s * 1000)},every={fault.every}"
        case "cut":
            return f"cut:every={fault.every}"
        case _:
            return f"freeze:at={fault.at_s:g}s,for={fault.for_s * 1000:g}ms"


@given(FAULTS)
def test_faults_are_read_as_written(fault: Fault):
    """
    A fault that is written as its description says is read as it was meant.
    """
    assert fault == parse_fault(written(fault))


@given(st.text(max_size=40))
def test_no_text_is_a_crash(text: str):
    """
    Any other text gets an error that says what there is.
    """
    with pytest.raises(BadFault, match=r"stall:ms=300|write cut|freeze:at=2s"):
        parse_fault(f"{text} ,")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stll:ms=3", "there is no fault 'stll'"),
        ("stall", "leaves something out; write stall:ms=300"),
        ("stall:ms=x", "'ms=x' is not understood"),
        ("stall:every=0,ms=3", "'every=0' is not understood"),
        ("cut:ms=3", "'ms=3' is not understood; write cut"),
        ("freeze:at=2s", "leaves something out; write freeze:at=2s,for=1s"),
    ],
)
def test_bad_fault(text: str, said: str):
    """
    What is wrong is named, and how it is right.
    """
    with pytest.raises(BadSetting, match="--fault: ") as caught:
        faults_of([text])

    assert said in str(caught.value)


def test_times():
    """
    Times are read in all units, and what is none is told with its option.
    """
    assert [0.3, 2.0, 900.0, 0.5] == [duration_of("--idle", text) for text in ("300ms", "2s", "15m", "0.5")]
    with pytest.raises(BadSetting, match="--idle: 'soon' is no time"):
        duration_of("--idle", "soon")
    with pytest.raises(BadSetting, match="--ttft and --itl: 'soon' is no latency"):
        pace_of("soon", None, 1)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 5), st.text(max_size=30))
def test_own_markers(session: int, number: int, turn: int, rest: str):
    """
    Whoever typed a text of the scenario, its marker says session and turn of the service, and its plan is the turn's.
    """
    script = Script(talk(6))

    plan = script.plan(session, number, f"[#s0t{turn}] question {turn}")

    assert Place(session, number) == place_in(plan.say)
    assert f"this is the answer to question {turn}" == plan.answer
    assert (session, False) == (plan.session, plan.may_be_refused)
    assert script.plan(session, number, f"[#s0t{turn}] other {rest}").may_be_refused


@given(st.text(max_size=60), st.integers(0, 10**6), st.integers(0, 10**6))
def test_any_text_is_of_its_own_session(text: str, session: int, number: int):
    """
    A text may hold what it likes, markers of others too: the place that the model reads in it is its own.
    """
    script = Script(talk(6))

    for typed in (text, f"see [#s7t2] {text} [#s8t1]"):
        assert Place(session, number) == place_in(script.plan(session, number, typed).say)
        assert Place(session, number) == place_in(marked(typed, session, number))
    assert "[#s" not in unmarked("[#s7t2] hello")


def test_text_without_marker():
    """
    A text that stands in the scenario without a marker is said as it is, and turns come in order, again and again.
    """
    script = Script(Scenario(name="odd", seed=1, turns=(Turn(say="", answer="a"), Turn(say="x", answer="b"))))

    assert ("", "a") == (script.plan(3, 0, "").say, script.plan(3, 0, "").answer)
    assert ("[#s3t3] y", "b") == (script.plan(3, 3, "y").say, script.plan(3, 3, "y").answer)


def test_scenario_of_several_sessions():
    """
    Of a scenario with several conversations, each session plays one.
    """
    turns = tuple(Turn(say=user_text(at % 2, at, "q"), answer=f"a{at}", session=at % 2) for at in range(6))
    script = Script(Scenario(name="two", seed=1, turns=turns))

    assert ["a0", "a2", "a4", "a0"] == [script.turn(2, number).answer for number in range(4)]
    assert ["a1", "a3", "a5", "a1"] == [script.turn(5, number).answer for number in range(4)]


def scripts() -> tuple[Scripts, list[tuple[str, int]]]:
    made: list[tuple[str, int]] = []

    def make(name: str, seed: int, parameters: object) -> Scenario:
        made.append((name, seed))
        return talk(3)

    return Scripts(make, Key("talk", 1, (("turns", "3"),))), made


def test_scripts_are_shared():
    """
    Sessions that ask for the same share one script; a seed of one's own makes another.
    """
    kept, made = scripts()
    one = kept.get(kept.key(None, None, None))

    assert one is kept.get(kept.key("talk", 1, {"turns": "3"}))
    assert one is not kept.get(kept.key(None, 2, None))
    assert [("talk", 1), ("talk", 2)] == made


@pytest.mark.parametrize("name", ["../secret.py", "a/b.py", "x.py::f", ""])
def test_no_file_by_name(name: str):
    """
    A client names scenarios, and never a file that would be run.
    """
    kept, made = scripts()

    with pytest.raises(Unknown, match="has no scenario"):
        kept.key(name, 1, None)
    assert [] == made


@pytest.mark.parametrize("size", ["1000001", "-9999999", "1e9", "inf", "1_000_001"])
def test_no_huge_scenario(size: str):
    """
    A client cannot have the service make a scenario that takes all its memory.
    """
    with pytest.raises(BadScenario, match="too much for a service"):
        scripts()[0].key("talk", 1, {"turns": size})
