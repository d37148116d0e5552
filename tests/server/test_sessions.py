"""Which session a request belongs to, and that none is ever out of step."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looprig.content import find_scenario
from looprig.script import NOTHING_TO_ANSWER
from looprig.server import sessions
from looprig.server.app import App
from looprig.server.sessions import COUNTED_FROM, session_in
from tests.server.clients import Loop, broken, chat, get, post, said, served, talk, through, user


@pytest.mark.parametrize(
    ("body", "session"),
    [
        ('{"content": "[#s3t0] hi"}', 3),
        ('{"content": "[#s3t0] hi", "b": "[#s4t12r0c1] done"}', 4),
        ('{"content": "[#s3t0] hi", "tool_call_id": "call_s12t0r0c0"}', 12),
        ('{"tool_call_id": "call_s12t0r0c0", "content": "[#s3t0] hi"}', 3),
        ('{"previous_response_id": "resp_s7n4"}', 7),
        ('{"content": "[#s3t0] hi", "tools": ["call_service", "call_security"]}', 3),
        ('{"tool_call_id": "call_s12t0r0c0", "tools": ["call_service"]}', 12),
        ('{"content": "hi [#soon]", "tools": ["call_service"]}', None),
        ("", None),
    ],
)
def test_session_of_a_body(body: str, session: int | None):
    """
    The last marker of a text, a call or a response names the session; what only looks like one does not.
    """
    assert session == session_in(body.encode())


def test_marked_session_plays_the_scenario():
    """
    A client that types what /scenario says for its session gets that session's replies, with its own markers.
    """
    app = served()

    loop = through(Loop(app), 41)

    assert "[#s41t3] answer 3" == loop.history[-1]["content"]
    assert 4 + 2 + 4 + 2 * 2 == len(loop.history)
    assert {} == broken(app)


def test_client_types_its_own_texts():
    """
    Without a marker in its texts, a client is known by those in the model's replies; each new text is its next turn.
    """
    app = served()
    loop = Loop(app)

    answers = [loop.send(text) for text in ("good morning", "same again", "same again")]

    assert [f"[#s{COUNTED_FROM}t{turn}] answer {turn}" for turn in range(3)] == answers
    assert [1, 3, 5] == [get(app, "/journal")[key] for key in ("sessions",)] + [3, len(loop.statuses)]
    assert {} == broken(app)


def test_scenario_begins_again_for_own_texts():
    """
    Who types on after the last turn of the scenario plays it from the start, with numbers that go on.
    """
    app = served(talk(2, {}))
    loop = Loop(app)

    answers = [loop.send(f"text {number}") for number in range(3)]

    assert f"[#s{COUNTED_FROM}t2] answer 0" == answers[-1]


def test_first_question_asked_again():
    """
    A first request that is repeated before it was answered is a retry; once it was answered, it begins a new session.
    """
    app = served(talk(1, {0: 1}))

    first, second = (said(chat(app, [user("hi")])) for _ in range(2))
    answer = said(chat(app, [user("hi"), first, *[_result(call) for call in first["tool_calls"]]]))
    third = said(chat(app, [user("hi")]))

    assert first == second
    assert f"[#s{COUNTED_FROM}t0] answer 0" == answer["content"]
    assert f"call_s{COUNTED_FROM + 1}t0r0c0" == third["tool_calls"][0]["id"]


def _result(call: dict[str, Any]) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call["id"], "content": "done"}


def test_header_names_the_session():
    """
    A header tells sessions apart whose texts say nothing, also where a trim leaves nothing that the model said.
    """
    app = served(talk(3, {}))

    answers = [
        said(chat(app, [user(text)], x_looprig_session=name))["content"]
        for text, name in (("one", "ann"), ("one", "bob"), ("two", "ann"), ("two", "7"))
    ]

    assert [f"[#s{COUNTED_FROM}t0] answer 0", f"[#s{COUNTED_FROM + 1}t0] answer 0"] == answers[:2]
    assert [f"[#s{COUNTED_FROM}t1] answer 1", "[#s7t0] answer 0"] == answers[2:]


def test_header_names_the_scenario():
    """
    A header chooses another scenario for a session; one that there is not is answered 404, with the reason.
    """
    app = App(served().settings, lambda name: find_scenario(name).make(1, {}))

    turns = get(app, "/scenario?session=2&scenario=long_tool_chain&turns=1")["turns"]
    reply = said(chat(app, [user(turns[0]["say"])], x_looprig_scenario="long_tool_chain"))
    unknown = [chat(app, [user("[#s0t0] hi")], x_looprig_scenario=name) for name in ("no_such", "/etc/evil.py")]

    assert reply["content"].startswith("[#s2t0] ")
    assert [404, 404] == [each.status for each in unknown]
    assert "no_such" in json.loads(unknown[0].body)["error"]["message"]


def test_same_numbers_at_two_providers():
    """
    Session 0 of one API is another one than session 0 of the next.
    """
    app = served(talk(1, {}))

    post(app, "/v1/chat/completions", {"model": "gpt-4o", "messages": [user("[#s0t0] hi")]})
    post(app, "/v1/messages", {"model": "claude-sonnet-5", "max_tokens": 99, "messages": [user("[#s0t0] hi")]})

    assert ["anthropic", "openai-chat"] == sorted(each["provider"] for each in app.seen()["by_session"])


def test_scenario_played_twice():
    """
    A second run of a client under the numbers of the first is a conversation of its own, and breaks nothing.
    """
    app = served()

    through(Loop(app), 5)
    through(Loop(app), 5)

    assert {} == broken(app)
    assert 8 == app.seen()["by_session"][0]["turns"]


def test_nothing_to_answer():
    """
    A marker behind the end of the scenario is answered with a text that says so.
    """
    answer = said(chat(served(talk(1)), [user("[#s0t99] hi")]))["content"]

    assert answer.endswith(NOTHING_TO_ANSWER)


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.booleans(), st.integers(0, 2))
def test_sessions_at_random(random: Random, judge: bool, trims: int):
    """
    Whatever the order in which requests of many sessions come, and however their clients trim: each gets the replies
    of its own place, and sound clients break nothing.
    """
    app = served(talk(4, {1: 2, 2: 1}), judge=judge)
    loops = [Loop(app, _last_turns(trims)) for _ in range(8)]
    playing = [(number, loop, loop.play(number)) for number, loop in enumerate(loops)]

    while playing:
        at = random.randrange(len(playing))
        if next(playing[at][2], "over") == "over":
            del playing[at]

    for number, loop in enumerate(loops):
        asked = [message for message in loop.history if message["role"] == "assistant"]
        assert all(f"s{number}t" in json.dumps(message) for message in asked)
        assert 4 + 2 + 1 == len(asked)
    assert {} == broken(app)


def _last_turns(count: int) -> Any:
    """Return a trim that keeps so many turns before the current one; 0 keeps all."""

    def trim(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
        starts = [at for at, message in enumerate(history) if message["role"] == "user"]
        return history[starts[-min(len(starts), count + 1)] :] if count else list(history)

    return trim


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    """
    Beyond its budget the server forgets what sessions sent, the longest silent first; they go on in step, and are
    judged anew from there. Of sessions beyond those that it knows one by one the totals stay.
    """
    monkeypatch.setattr(sessions, "WARM_BYTES", 20_000)
    monkeypatch.setattr(sessions, "KNOWN_MAX", 30)
    app = served()

    for number in range(40):
        through(Loop(app), number)
    loops = [(loop, loop.play(100 + number)) for number, loop in enumerate(Loop(app) for _ in range(20))]
    for _ in range(6):
        for _, play in loops:
            next(play)

    warm = [each for each in app.sessions if each.weight]
    assert sum(each.weight for each in warm) <= 20_000
    assert all(not each.seen.messages and not each.prompt.held for each in app.sessions if not each.weight)
    assert (30, 60) == (len(app.sessions), app.seen()["sessions"])
    assert all(loop.statuses == [200] * 6 for loop, _ in loops)
    assert {} == broken(app)
