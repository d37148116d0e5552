"""Sizes: parameters mean what they say, and the default sizes make a trim happen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from looprig.content import ContentError, standard
from looprig.scenario import Scenario, Turn

NAMES = sorted(path.stem for path in standard("scenarios").glob("[!_]*.py"))


def messages_of(turn: Turn) -> int:
    return len(turn.system) + 2 + sum(1 + len(round_.calls) for round_ in turn.rounds)


def messages_said(scenario: Scenario) -> int:
    return sum(map(messages_of, scenario.turns))


def longest_session(scenario: Scenario) -> int:
    said: dict[int, int] = {}
    for turn in scenario.turns:
        said[turn.session] = said.get(turn.session, 0) + messages_of(turn)
    return max(said.values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(5))
def test_defaults_make_trims_happen(name: str, seed: int, make):
    """
    By default a loop that keeps 100 pairs trims (at 308 messages), and a run stays small.
    """
    scenario = make(name, seed=seed)

    assert messages_said(scenario) <= 1000
    if name == "working_day":  # many short sessions: only smaller budgets trim
        assert 37 < longest_session(scenario) < 308
    else:
        assert longest_session(scenario) > 308


def trims(scenario: Scenario, pairs: int) -> Iterator[tuple[bool, bool]]:
    """Play the seed's incremental trim; tell of each whether calls were open, and whether it cut a group apart."""
    trigger, target = 1.5 * (2 * pairs + 5), 2 * int(1.2 * pairs)
    history: list[tuple[str, bool]] = []
    for kind, pending in appended(scenario):
        history.append((kind, pending))
        if len(history) > trigger:
            history = [history[0], *history[-target:]]
            yield pending, history[1][0] == "tool"


def appended(scenario: Scenario) -> Iterator[tuple[str, bool]]:
    """Yield the kind of each message, and whether calls are open once it is there."""
    for turn in scenario.turns:
        yield from (("system", False) for _ in turn.system)
        yield "user", False
        for round_ in turn.rounds:
            yield "assistant", True
            yield from (("tool", open_) for open_ in [True] * (len(round_.calls) - 1) + [False])
        yield "assistant", False


@pytest.mark.parametrize("seed", range(3))
def test_pending_calls_whatever_the_budget(seed: int, make):
    """
    Whatever the budget, the seed's policy trims while calls are open, and sends results without their calls.
    """
    scenario = make("pending_calls", seed=seed)

    for pairs in range(1, 101):
        pending, cut_apart = zip(*trims(scenario, pairs), strict=True)
        assert any(pending), f"{pairs} pairs: no trim of {len(pending)} between calls and results"
        assert any(cut_apart), f"{pairs} pairs: no cut of {len(pending)} inside a group"


def test_pending_calls_is_trimmed_twice(make):
    """
    A loop that keeps 100 pairs trims at least twice.
    """
    assert len(list(trims(make("pending_calls"), 100))) >= 2


def test_seed_1000_messages(make):
    """
    The seed's benchmark is exactly 1,000 plain messages, without a system message, tools or delays.
    """
    scenario = make("seed_1000_messages")

    assert 1000 == messages_said(scenario)
    assert 500 == len(scenario.turns)
    assert not any(turn.system or turn.rounds or turn.delay_s or turn.pause_s for turn in scenario.turns)


def test_seed_1000_messages_gives_the_headline(make):
    """
    Checked at every append, the seed's policy trims this scenario 11 times, as the design says.
    """
    assert 11 == len(list(trims(make("seed_1000_messages"), 100)))


def test_seed_1000_messages_is_even(make):
    """
    An odd number of messages cannot be had exactly, and is refused.
    """
    with pytest.raises(ContentError, match="messages is an even number, since each turn says two; 7 is odd"):
        make("seed_1000_messages", messages=7)


@pytest.mark.parametrize("tool_every", [0, 1, 2, 3, 10, 1000])
def test_long_conversation_formula(tool_every: int, make):
    """
    The formula of the docstring holds, and no further turn would have fitted.
    """
    for messages in [*range(5, 60), 1000, 4321]:
        scenario = make("long_conversation", messages=messages, tool_every=tool_every)
        turns = len(scenario.turns)

        assert messages_said(scenario) == 1 + 2 * turns + (2 * (turns // tool_every) if tool_every else 0)
        assert messages - 3 <= messages_said(scenario) <= messages
        assert messages_said(scenario) + (4 if tool_every and (turns + 1) % tool_every == 0 else 2) > messages


def test_long_conversation_of_a_million(make):
    """
    A million messages are there at once, and the last turn is as any other.
    """
    scenario = make("long_conversation", messages=1_000_000)
    last = scenario.turns[len(scenario.turns) - 1]

    assert 454_545 == len(scenario.turns)
    assert last.say.startswith("[#s0t454544] ")
    assert 50 <= len(last.answer) <= 120


def test_long_tool_chain(make):
    """
    One turn has all the rounds, of one call each; ordinary turns stand before and after it.
    """
    scenario = make("long_tool_chain", rounds=30, before=2, after=4)

    assert [0, 0, 30, 0, 0, 0, 0] == [len(turn.rounds) for turn in scenario.turns]
    assert {1} == {len(round_.calls) for round_ in scenario.turns[2].rounds}


def test_many_systems(make):
    """
    System messages stand in front and before each eighth turn, and no two are alike.
    """
    scenario = make("many_systems", systems=5, turns=40, every=8)
    added = [text for turn in scenario.turns for text in turn.system]

    assert [(0, 5), (8, 1), (16, 1), (24, 1), (32, 1)] == [
        (number, len(turn.system)) for number, turn in enumerate(scenario.turns) if turn.system
    ]
    assert len(set(added)) == len(added)


def test_oversized_message(make):
    """
    Each kind of text is large at times, exactly as large as asked for, amid small ones.
    """
    turns = make("oversized_message", user_chars=5_000, result_chars=7_000, answer_chars=9_000).turns
    said = {len(turn.say.partition(" ")[2]) for turn in turns}
    results = {len(call.result) for turn in turns for round_ in turn.rounds for call in round_.calls}
    answers = {len(turn.answer) for turn in turns}

    for lengths, large in ((said, 5_000), (results, 7_000), (answers, 9_000)):
        assert large in lengths
        assert max(lengths - {large}) < 120


def test_oversized_message_below_input_limits(make):
    """
    By default no user message is so long that input validation would refuse it.
    """
    assert 50_000 < max(len(turn.say) for turn in make("oversized_message").turns) < 100_000
