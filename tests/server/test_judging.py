"""What broken clients do is found, named, and told as such; sound ones break nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from looprig.content import find_scenario, find_scenarios
from looprig.loop import Contract
from looprig.report import serving
from looprig.server.judging import OUT_OF_SIGHT, WIRE_RULES
from tests.server.clients import Body, Loop, broken, chat, get, results, said, served, talk, through, user

EXPECTED = {"odd_text": {"JSON"}}
"""Half a character has no form in JSON that a provider would read."""

SMALL = {"turns": "6", "repeats": "1", "messages": "60", "conversations": "1", "rounds": "30"}


@pytest.mark.parametrize("name", sorted(find_scenarios()))
def test_sound_client(name: str):
    """
    A client that sends its whole history breaks nothing in any scenario, whatever the scenario plans to go wrong.
    """
    file = find_scenario(name)
    scenario = file.make(3, {key: value for key, value in SMALL.items() if key in file.parameters})
    app = served(scenario, tokens="estimate")

    loop = Loop(app)
    for number, turn in enumerate(app.play.typed(0)):
        if number > 20:
            break
        for _ in loop.turn(turn["say"]):
            pass
        if loop.statuses[-1] != 200:  # a planned fault, or one that no tool can have: the client begins anew
            loop.history.clear()

    assert set(broken(app)) <= EXPECTED.get(name, set())


def test_rules_that_requests_can_show():
    """
    Rules about what happens at the client are not judged; those that are have judged something after one conversation.
    """
    app = served(talk(4, {1: 2}))
    through(Loop(app))
    app.finish()

    judged = {code for code, number in app.judgements().items() if number}
    assert not OUT_OF_SIGHT & {rule.code for rule in WIRE_RULES}
    assert {"LR102", "LR103", "LR112", "LR113", "LR121", "LR122", "LR123", "LR131", "LR132", "LR152"} <= judged


def _without_user(history: list[Body]) -> list[Body]:
    """Keep the last three messages, and the last group whole."""
    at = len(history) - 3
    while at > 0 and history[at]["role"] == "tool":
        at -= 1
    return history[max(at, 0) :]


def _rewrites(history: list[Body]) -> list[Body]:
    return [{**history[0], "content": "a summary of it all"}, *history[1:]] if len(history) > 2 else list(history)


@pytest.mark.parametrize(
    ("trim", "code"),
    [
        (lambda history: history[-2:], "C1"),
        (lambda history: [message for message in history if message["role"] != "tool"], "C2"),
        (_without_user, "LR102"),
        (_rewrites, "LR131"),
        (lambda history: history[1:] if len(history) == 3 else list(history), "LR104"),
    ],
)
def test_broken_client(trim: Any, code: str):
    """
    Each way to break a history is found as its invariant, or as the rule for which the provider refuses it.
    """
    app = served(talk(4, {1: 3}))

    through(Loop(app, trim))

    assert code in broken(app)


def test_turn_that_starts_over():
    """
    A trim that loses all but the question makes the model begin again, for ever: the turn is stopped with HTTP 400
    that names LR152, the journal has it, and the next turn goes on.
    """
    app = served(talk(2, {0: 6}))
    loop = Loop(app, lambda history: history[:1])

    loop.send("[#s0t0] question 0")
    stopped = chat(app, loop.trim(loop.history))

    assert 400 == loop.statuses[-1] == stopped.status
    assert "LR152" in json.loads(stopped.body)["error"]["message"]
    assert 2 * (6 + 1) + 20 + 1 == len(loop.statuses)
    assert "LR152" in broken(app)


def test_own_texts_start_over():
    """
    So does a client that types its own texts, and keeps nothing by which it would be known.
    """
    app = served(talk(2, {0: 6}))
    loop = Loop(app, lambda history: history[:1])

    loop.send("what a day")

    assert 400 == loop.statuses[-1]
    assert 1 == len(app.sessions)
    assert "LR152" in broken(app)


def test_instructions_alone():
    """
    A trim that leaves the instructions alone makes the model begin the turn again, and is named.
    """
    app = served(talk(2, {0: 4}))
    system = {"role": "system", "content": "be brief"}
    asks = said(chat(app, [system, user("[#s0t0] question 0")], x_looprig_session="0"))

    again = said(chat(app, [system], x_looprig_session="0"))

    assert asks == again
    assert {"LR102", "LR113", "LR152"} <= broken(app).keys()


def test_turn_given_up():
    """
    A user who asks the next question before the last one was answered breaks nothing.
    """
    app = served(talk(3, {0: 3}))
    history = [user("[#s0t0] question 0")]
    asks = said(chat(app, history))

    chat(app, [*history, asks, *results(asks), user("[#s0t1] question 1")])

    assert {} == broken(app)


def test_promises():
    """
    What the client's loop promises is judged, and what it waives is not held against it.
    """
    app = served(talk(4, {1: 3}), contract=Contract(messages_max=4, waive={"LR104": "so"}))

    through(Loop(app))
    through(Loop(app, _rewrites), 1)

    found = broken(app)
    assert found["LR105"]
    assert "LR104" not in found


def test_judging_after_a_refusal():
    """
    A refused request is a finding by itself; what it said is not held against the next one.
    """
    app = served(talk(3, {}))
    loop = Loop(app)
    loop.send("[#s0t0] question 0")
    refused = chat(
        app, [*loop.history, user("[#s0t1] question 1"), {"role": "tool", "tool_call_id": "x", "content": ""}]
    )
    loop.history += [user("[#s0t1] question 1")]
    loop.send("[#s0t2] question 2")

    assert (400, {"C1": 1}) == (refused.status, broken(app))


def test_journal_and_metrics():
    """
    The journal has each finding with its session, its reason and what was sent; the totals are there for Prometheus.
    """
    app = served(talk(4, {1: 3}))
    through(Loop(app, lambda history: history[-2:]), 9)

    journal, metrics = get(app, "/journal"), get(app, "/metrics").splitlines()
    found = next(each for each in journal["findings"] if each["code"] == "C1")

    assert ("openai-chat", 9, 1, 400, "messages.[0].role") == tuple(
        found[key] for key in ("provider", "session", "turn", "status", "param")
    )
    assert "T T" == found["shape"]
    assert found["because"].startswith("Invalid parameter: messages with role 'tool'")
    assert not journal["passed"]
    assert 'looprig_refused_total{rule="C1"} 2' in metrics
    assert 'looprig_requests_total{provider="openai-chat",status="400"} 2' in metrics
    assert "looprig_sessions_total 1" in metrics


def test_verdict_in_words():
    """
    The page names what broke, where first, what was sent and the command that shows it again; its last line is the
    verdict.
    """
    app = served(talk(4, {1: 3}))
    through(Loop(app, lambda history: history[-2:]), 9)
    app.finish()

    lines = serving.page(app.seen(), "looprig serve model -- x").splitlines()

    assert any(line.startswith("✗ C1 refused") for line in lines)
    assert "    sent: T T" in lines
    assert "replay with: looprig serve model -- x" in lines
    assert lines[-1].startswith("FAILED  ")


def test_unjudged():
    """
    Without judging, the providers' rules still hold, and no turn is ever stopped.
    """
    app = served(talk(2, {0: 3}), judge=False)

    statuses = {chat(app, [user("[#s0t0] question 0")]).status for _ in range(100)}
    refused = chat(app, [{"role": "tool", "tool_call_id": "x", "content": ""}])

    assert {200} == statuses
    assert 400 == refused.status
    assert {"C1": 1} == broken(app)


def test_same_request_again():
    """
    Where nothing is judged the same request gets the same reply again, under another id, and its prompt is cached then;
    a request that differs in one byte is looked at.
    """
    app = served(talk(3, {}), judge=False)
    long = [user("[#s0t0] " + "long " * 1000)]

    first, second, third = (json.loads(chat(app, long).body) for _ in range(3))
    other = json.loads(chat(app, [user("[#s0t1] " + "long " * 1000)]).body)
    refused = chat(app, [{"role": "tool", "tool_call_id": "x", "content": "[#s0t1]"}])

    assert first["choices"] == second["choices"] == third["choices"] != other["choices"]
    assert 4 == len({each["id"] for each in (first, second, third, other)})
    cached = [each["usage"]["prompt_tokens_details"]["cached_tokens"] for each in (first, second, third)]
    assert [0, first["usage"]["prompt_tokens"], first["usage"]["prompt_tokens"]] == cached
    assert 400 == refused.status
