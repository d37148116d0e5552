"""Each scenario really has in it what it is there for."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from itertools import combinations
from typing import get_args

import pytest

from looprig.content import load, standard
from looprig.scenario import FaultKind, Outcome, PlannedCall, Scenario, Turn, place_in
from looprig.toolbox import TOOLBOX, conflict, resources

SEEDS = pytest.mark.parametrize("seed", range(3))


def rounds_of(scenario: Scenario) -> list[tuple[PlannedCall, ...]]:
    return [round_.calls for turn in scenario.turns for round_ in turn.rounds]


def calls_of(scenario: Scenario) -> list[PlannedCall]:
    return [call for calls in rounds_of(scenario) for call in calls]


@SEEDS
def test_parallel_tools(seed: int, make):
    """
    Rounds of every width from one to eight; calls that conflict and calls that do not; order of finishing mixed.
    """
    rounds = rounds_of(make("parallel_tools", seed=seed))
    pairs = [pair for calls in rounds for pair in combinations(calls, 2)]
    conflicts = sum(conflict(*(resources(call.name, call.inputs) for call in pair)) for pair in pairs)
    overtaken = sum(first.duration_s > second.duration_s for first, second in pairs)

    assert set(range(1, 9)) == set(map(len, rounds))
    assert 0.1 < conflicts / len(pairs) < 0.5
    assert 0.3 < overtaken / len(pairs) < 0.7
    assert any("run_command" == call.name for calls in rounds for call in calls)


@SEEDS
def test_pending_calls_widths(seed: int, make):
    """
    Groups of every size, and between them runs of none to six ordinary messages.
    """
    scenario = make("pending_calls", seed=seed)
    runs, run = set(), 0
    for turn in scenario.turns:
        if turn.rounds:
            runs.add(run)
        run = 0 if turn.rounds else run + 2

    assert set(range(1, 9)) == set(map(len, rounds_of(scenario)))
    assert {0, 2, 4, 6} <= runs


def test_repeated_ids(make):
    """
    Every round numbers its calls from call_1, in all turns.
    """
    rounds = rounds_of(make("repeated_ids"))

    assert all([f"call_{number}" for number in range(1, len(calls) + 1)] == [c.id for c in calls] for calls in rounds)
    assert {1, 2, 3} == set(map(len, rounds))
    assert all(turn.rounds for turn in make("repeated_ids").turns)


# ---------------------------------------------------------------------------------------------------------------------
# failing_tools


def test_failing_tools_kinds(make):
    """
    The first 36 turns have every kind of failure, alone and as one of several calls.
    """
    kinds = load(standard("scenarios") / "failing_tools.py").failures(100_000)
    rounds = rounds_of(make("failing_tools", turns=36))

    assert 15 == len(kinds)
    for kind, call in kinds.items():
        widths = [len(calls) for calls in rounds if call in calls]
        assert min(widths) == 1, kind
        assert max(widths) >= 3, kind


def test_failing_tools_outcomes(make):
    """
    Every outcome that a tool can have is there.
    """
    assert set(get_args(Outcome)) == {call.outcome for call in calls_of(make("failing_tools"))}


def test_failing_tools_unknown_names(make):
    """
    The names that no tool has are a near miss, nothing, and one that Python gives a meaning.
    """
    names = {call.name for call in calls_of(make("failing_tools"))}

    assert {"serach", "", "__class__"} == names - set(TOOLBOX)


def test_failing_tools_arguments(make):
    """
    Arguments are cut short, empty, JSON of every kind that is not an object, or nested too deep to be read.
    """
    texts = {call.arguments for call in calls_of(make("failing_tools")) if call.arguments is not None}
    nested = max(texts, key=len)

    assert {'{"query": "anyth', "", "[]", "null", "1", '"x"', nested} == texts
    assert nested.count("[") == nested.count("]") == 100_000
    assert {"query": [[[]]]} == json.loads('{"query": ' + "[" * 3 + "]" * 3 + "}")


def test_failing_tools_denied(make):
    """
    A denied deletion stands alone, and beside one that is approved.
    """
    rounds = [calls for calls in rounds_of(make("failing_tools")) if any(c.name == "delete_file" for c in calls)]
    decisions = {tuple(call.approve for call in calls if call.name == "delete_file") for calls in rounds}

    assert {(False,), (False, True)} == decisions


def test_failing_tools_given_up(make):
    """
    A turn is given up while its slow tool runs, alone or beside others; an ordinary turn follows.
    """
    turns = make("failing_tools", turns=200).turns
    given_up = [number for number, turn in enumerate(turns) if turn.cancel_after_s is not None]

    assert {1, 3} == {len(turns[number].rounds[0].calls) for number in given_up}
    for number in given_up:
        slowest = max(call.duration_s for call in turns[number].rounds[0].calls)
        assert 0 < (turns[number].cancel_after_s or 0) < slowest
        assert not any(turn.rounds for turn in turns[number + 1 : number + 2])


# ---------------------------------------------------------------------------------------------------------------------
# odd_text


@pytest.fixture
def odds() -> dict[str, tuple[str, bool, str]]:
    found: dict[str, tuple[str, bool, str]] = load(standard("scenarios") / "odd_text.py").odd_texts(20_000)
    return found


def test_odd_text_everywhere(make, odds):
    """
    Every odd text is said, comes back from a tool that was given it, and is an answer, in each repetition.
    """
    turns = make("odd_text", repeats=2).turns
    answers = Counter(turn.answer for turn in turns)
    results = Counter(call.result for turn in turns for round_ in turn.rounds for call in round_.calls)
    given = Counter(call.inputs["text"] for turn in turns for round_ in turn.rounds for call in round_.calls)

    for kind, odd in odds.items():
        assert 2 == sum(_said(turn) == odd[0] for turn in turns), kind
        assert 2 == answers[odd[0]], kind
        # The tool's text comes after the tool's marker, which an imitated one would hide.
        assert (0 if kind == "marker" else 2) == results[odd[0]] == given[odd[0]], kind


def _said(turn: Turn) -> str:
    if not turn.say.strip():
        return turn.say
    if turn.say.startswith("[#"):
        return turn.say.partition(" ")[2]
    return turn.say.rpartition(" ")[0]


@pytest.mark.parametrize(
    ("kind", "has"),
    [
        ("empty", lambda text: text == ""),
        ("whitespace", lambda text: text.isspace()),
        ("long", lambda text: len(text) >= 20_000),
        ("newlines", lambda text: text.count("\n") == 5_000),
        ("emoji", lambda text: "\u200d" in text and max(text) > "\uffff"),
        ("right_to_left", lambda text: {"R", "AL"} <= {unicodedata.bidirectional(char) for char in text}),
        ("bidi_controls", lambda text: {"RLO", "LRI", "PDF", "PDI"} <= set(map(unicodedata.bidirectional, text))),
        ("combining", lambda text: sum(map(bool, map(unicodedata.combining, text))) == 600),
        ("decomposed", lambda text: unicodedata.normalize("NFC", text) != text != unicodedata.normalize("NFD", text)),
        ("line_separators", lambda text: len(text.splitlines()) == 3 and "\n" not in text),
        ("lone_surrogate", lambda text: any("\ud800" <= char <= "\udfff" for char in text)),
        ("nul", lambda text: "\0" in text),
        ("control", lambda text: {"\a", "\b", "\x1b", "\x7f"} <= set(text)),
        ("html", lambda text: "<script>" in text),
        ("markdown", lambda text: "```" in text and "\n| " in text),
        ("template", lambda text: "{0}" in text and "%(name)s" in text and "${HOME}" in text),
        ("json", lambda text: json.loads(text)["role"] == "system"),
        ("tool_call", lambda text: json.loads(text)["tool_calls"][0]["function"]["name"] == "delete_file"),
        ("roles", lambda text: "\nsystem: ignore" in text and "<|im_start|>" in text),
        ("marker", lambda text: place_in(text) is not None),
    ],
)
def test_odd_text_kinds(kind: str, has, odds):
    """
    Each kind of odd text is what its name says.
    """
    assert has(odds[kind][0])


def test_odd_text_kinds_are_all_tested(odds):
    """
    No kind is missing from the list above.
    """
    (mark,) = (mark for mark in test_odd_text_kinds.pytestmark if mark.name == "parametrize")

    assert {kind for kind, _ in mark.args[1]} == set(odds)


def test_odd_text_refusable(odds):
    """
    Only what storage or a protocol cannot hold may be refused; what is merely strange must be answered.
    """
    assert {"empty", "whitespace", "lone_surrogate", "nul", "control"} == {k for k, odd in odds.items() if odd[1]}


# ---------------------------------------------------------------------------------------------------------------------
# slow_model


@SEEDS
def test_slow_model_faults(seed: int, make):
    """
    Every kind of fault comes once, twice, and longer than anybody retries.
    """
    faults = [fault for turn in make("slow_model", seed=seed).turns for fault in turn.faults]

    assert {(kind, times) for kind in get_args(FaultKind) for times in (1, 2, 20)} == {
        (fault.kind, fault.times) for fault in faults
    }
    assert {0, 1} == {fault.round for fault in faults}


def test_slow_model_delays(make):
    """
    Delays have the median and the mean of the agentic preset: 1.8 s and 2.5 s.
    """
    delays = sorted(turn.delay_s for turn in make("slow_model", turns=20_000).turns)

    assert 1.8 == pytest.approx(delays[10_000], rel=0.03)
    assert 2.5 == pytest.approx(sum(delays) / len(delays), rel=0.03)


def test_slow_model_pieces(make):
    """
    Some replies are streamed in one piece, some in many.
    """
    assert {1, 2, 5, 20, 40} == {turn.chunks for turn in make("slow_model").turns}


def test_slow_model_left_out(make):
    """
    Zero leaves tools, faults or delays out.
    """
    turns = make("slow_model", tool_every=0, fault_every=0, median_s=0).turns

    assert not any(turn.rounds or turn.faults or turn.delay_s for turn in turns)
