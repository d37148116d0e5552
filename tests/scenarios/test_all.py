"""What holds for every standard scenario."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import looprig
from looprig.content import ScenarioFile, standard
from looprig.scenario import Place, Scenario, place_in
from looprig.toolbox import TOOLBOX

NAMES = sorted(path.stem for path in standard("scenarios").glob("[!_]*.py"))

DIGESTS = """
import hashlib, json, msgspec
from looprig.content import ScenarioFile, standard
for path in sorted(standard("scenarios").glob("[!_]*.py")):
    turns = ScenarioFile(path.stem, path).make(11, {}).turns
    print(path.stem, hashlib.sha256(json.dumps([msgspec.to_builtins(turn) for turn in turns]).encode()).hexdigest())
"""

every_scenario = pytest.mark.parametrize("name", NAMES)


def file_of(name: str) -> ScenarioFile:
    return ScenarioFile(name, standard("scenarios") / f"{name}.py")


def digest(scenario: Scenario) -> str:
    # Not by msgspec itself: it refuses lone surrogates, which odd_text has on purpose.
    text = json.dumps([msgspec.to_builtins(turn) for turn in scenario.turns])
    return hashlib.sha256(text.encode()).hexdigest()


def test_names():
    """
    The twelve families of the design are there.
    """
    assert [
        "failing_tools",
        "long_conversation",
        "long_tool_chain",
        "many_systems",
        "odd_text",
        "oversized_message",
        "parallel_tools",
        "pending_calls",
        "repeated_ids",
        "seed_1000_messages",
        "slow_model",
        "working_day",
    ] == NAMES


@every_scenario
def test_replay(name: str, make):
    """
    The seed decides everything: the same one gives the same turns, another one gives others.
    """
    scenario = make(name, seed=5)

    assert list(scenario.turns) == list(make(name, seed=5).turns)
    assert digest(scenario) != digest(make(name, seed=6))


def test_replay_in_another_process(make):
    """
    Another process with another hash seed makes the same scenarios.
    """
    environment = os.environ | {"PYTHONPATH": str(Path(looprig.__file__).parent.parent)}
    outputs = {
        subprocess.run(
            [sys.executable, "-c", DIGESTS],
            env=environment | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert {"".join(f"{name} {digest(make(name, seed=11))}\n" for name in NAMES)} == outputs


@every_scenario
def test_looking_does_not_change(name: str, make):
    """
    Turns can be looked at again, from the end, and one by one.
    """
    turns = make(name).turns

    assert list(turns) == [turns[number] for number in reversed(range(len(turns)))][::-1]


@every_scenario
def test_replay_line(name: str, make):
    """
    A scenario carries its name, its seed and every parameter that it was made with.
    """
    scenario = make(name, seed=7)

    assert (name, 7) == (scenario.name, scenario.seed)
    assert {key: parameter.default for key, parameter in file_of(name).parameters.items()} == scenario.params


@every_scenario
def test_replay_line_with_settings(name: str, make):
    """
    A parameter that was set is in the replay line as it was set.
    """
    settings = {
        key: parameter.type(float(parameter.default) + 2) for key, parameter in file_of(name).parameters.items()
    }

    assert settings == make(name, **settings).params


@every_scenario
def test_description(name: str):
    """
    The list shows one sentence about each, and the docstring goes on to say what it finds.
    """
    file = file_of(name)
    source = file.path.read_text()

    assert not file.error
    assert 20 < len(file.description) <= 120
    assert file.description[-1] in ".?"
    assert "\nFinds " in source or "\nHere to reproduce " in source


@every_scenario
def test_every_parameter_is_a_size(name: str):
    """
    Parameters have plain types, and a size that leaves nothing is refused with its name.
    """
    file = file_of(name)

    for key, parameter in file.parameters.items():
        assert parameter.type in (int, float)
        with pytest.raises(Exception, match=f"{key} is at least"):
            file.make(1, {key: "-1"})


@every_scenario
def test_markers(name: str, make):
    """
    Whatever the user says leads back to its session and turn, unless it must be empty or white.
    """
    for number, turn in enumerate(make(name).turns):
        if name == "odd_text" and not turn.say.strip():
            assert turn.may_be_refused
            continue
        assert Place(turn.session, number) == place_in(turn.say)


@every_scenario
def test_script_adds_its_own_markers(name: str, make):
    """
    Answers and results carry no marker of their own, except where odd_text imitates one in an answer.
    """
    answers = [turn.answer for turn in make(name).turns]
    results = [call.result for turn in make(name).turns for round_ in turn.rounds for call in round_.calls]

    assert not [result for result in results if place_in(result)]
    assert (name == "odd_text") == any(place_in(answer) for answer in answers)


@every_scenario
def test_calls_fit_the_tools(name: str, make):
    """
    A call names a tool of the rig and gives exactly its inputs, unless it is there to fail.
    """
    for turn in make(name).turns:
        for call in (call for round_ in turn.rounds for call in round_.calls):
            if call.name in TOOLBOX and call.arguments is None:
                assert set(TOOLBOX[call.name].inputs) == set(call.inputs)
            else:
                assert name == "failing_tools"


@every_scenario
def test_rounds_and_faults_are_reachable(name: str, make):
    """
    No round is without calls, and no fault is planned for a reply that a turn does not have.
    """
    for turn in make(name).turns:
        assert all(round_.calls for round_ in turn.rounds)
        assert all(0 <= fault.round <= len(turn.rounds) for fault in turn.faults)


@every_scenario
def test_only_slow_model_and_working_day_take_time(name: str, make):
    """
    Where a scenario is not about time, model and user take none.
    """
    turns = make(name).turns
    delayed = any(turn.delay_s or turn.pause_s or any(round_.delay_s for round_ in turn.rounds) for turn in turns)

    assert (name in ("slow_model", "working_day")) == delayed
