"""Sessions and turns over real HTTP: what a client gets, what is judged, and where the bounds are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from looprig.content import make_scenario
from looprig.messages import Message
from looprig.target import find
from tests.service import loops
from tests.service.client import User, events_of, served, service, shown, talk

SOUND = [loops.Plain, loops.Streaming, loops.Synchronous, find("reference").make()]


@pytest.mark.parametrize("factory", SOUND, ids=["plain", "streaming", "synchronous", "reference"])
def test_conversation(factory: Callable[..., Any]):
    """
    A conversation goes as its script has it: tools are told when they are asked for and when they have run, the text
    comes in pieces and is the answer, and the end tells what the turn came to. A sound loop breaks nothing.
    """
    with served(service(factory)) as (user, _):
        session = user.open()
        first, second = (user.say(session, f"[#s0t{turn}] question {turn}") for turn in range(2))
        told = user.stats()

    assert ["text"] * (len(first) - 1) + ["end"] == [name for name, _ in first]
    assert "[#s0t0] this is the answer to question 0" == shown(first) == first[-1][1]["answer"]
    names = [name for name, _ in second if name != "text"]
    assert [*["tool_call"] * 2, *["tool_result"] * 2] * 2 + ["end"] == names
    ids = [data["id"] for name, data in second if name == "tool_call"]
    assert ["call_s0t1r0c0", "call_s0t1r0c1", "call_s0t1r1c0", "call_s0t1r1c1"] == ids
    assert sorted(ids) == sorted(data["id"] for name, data in second if name == "tool_result")
    end = second[-1][1]
    assert (1, 2, 3, session, []) == (*(end[key] for key in ("turn", "rounds", "requests", "session", "violations")),)
    assert ({"started": 2, "finished": 2, "failed": 0, "cancelled": 0, "refused": 0, "running": 0}) == told["turns"]
    assert ({}, 0) == (told["violations"], told["sessions"]["mixed"])
    assert told["judged"]["LR121"] > 0 < told["judged"]["LR151"]


def test_history_is_told():
    """
    Messages and characters of the history are the loop's own, and so is the pause of its trims.
    """
    with served(service(find("reference,max_history_pairs=4").make(), talk(20, {}))) as (user, running):
        session = user.open()
        ends = [user.turn(session, f"[#s0t{turn}] question {turn}") for turn in range(20)]
        (seat,) = running.app.sessions
        history: list[Message] = list(seat.loop.history)

    assert (len(history), sum(len(each.content) for each in history)) == (
        ends[-1]["history_messages"],
        ends[-1]["history_chars"],
    )
    assert ends[0]["trim_pause_s"] == 0 < max(end["trim_pause_s"] for end in ends)


def test_any_scenario():
    """
    A session may ask for a scenario, a seed and parameters; the same seed gives the same script as it does anywhere.
    """
    wanted = {"scenario": "long_conversation", "seed": 5, "parameters": {"messages": 40, "tool_every": 3}}
    scenario = make_scenario("long_conversation", 5, {"messages": "40", "tool_every": "3"})
    with served(service()) as (user, _):
        session = user.open(**wanted)
        answers = [user.turn(session, turn.say)["answer"].split(" ", 1)[1] for turn in scenario.turns]
        told = user.stats()

    assert [turn.answer for turn in scenario.turns] == answers
    assert {} == told["violations"]


def test_text_of_ones_own():
    """
    A client may type what it likes: it is answered, and breaks nothing.
    """
    with served(service()) as (user, _):
        session = user.open()
        ends = [user.turn(session, text) for text in ("hello", "", "hello", "[#s99t77] hi", "x\x00\n\n", "ü" * 9000)]
        told = user.stats()

    assert [f"[#s0t{turn}] this is the answer to question {turn}" for turn in range(6)] == [
        end["answer"] for end in ends
    ]
    assert {} == told["violations"]


@pytest.mark.parametrize("factory", [loops.Rewording, loops.Raising])
def test_answer_of_the_loops_own(factory: Callable[..., Any]):
    """
    What the user reads while it comes is the model's; what the loop says in its place is in the end, and judged.
    """
    with served(service(factory)) as (user, _):
        session = user.open()
        events = user.say(session, "[#s0t0] question 0 fail")
        told = user.stats()

    assert "[#s0t0] this is the answer to question 0" == shown(events)
    if factory is loops.Rewording:
        assert ("As I said.", ["LR134"]) == (events[-1][1]["answer"], events[-1][1]["violations"])
        assert {"LR134": 1} == told["violations"]
    else:
        assert ("error", {"type": "ValueError", "message": "ValueError: it went wrong"}) == events[-1]
        assert ({"LR151": 1}, 1) == (told["violations"], told["turns"]["failed"])


def test_loop_that_would_end_the_process():
    """
    A loop that exits ends its turn, and not the service.
    """
    with served(service(loops.Raising)) as (user, _):
        session = user.open()

        assert "error" == user.say(session, "exit")[-1][0]
        assert "end" == user.say(session, "[#s0t1] question 1")[-1][0]


def test_sessions_are_apart():
    """
    Many conversations at once, each with its own messages: nothing is mixed, and all say what was asked for.
    """
    ends: dict[int, Any] = {}

    def converse(url: str, number: int) -> None:
        user = User(url)
        session = user.open()
        ends[number] = [user.turn(session, f"[#s0t{turn}] question {turn}") for turn in range(6)]
        user.http.close()

    with served(service(find("reference").make())) as (user, running):
        threads = [threading.Thread(target=converse, args=(running.url, number)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = user.stats()

    assert 72 == sum(len(each) for each in ends.values()) == told["turns"]["finished"]
    assert ({}, 0, 12) == (told["violations"], told["sessions"]["mixed"], told["sessions"]["opened"])


def test_mixed_sessions_are_found():
    """
    A loop whose conversations share one list is found by the first request that holds another session's message.
    """
    loops.Shared.everything.clear()
    with served(service(loops.Shared)) as (user, running):
        one, other = user.open(), user.open()
        user.turn(one, "[#s0t0] question 0")
        end = user.turn(other, "[#s0t0] question 0")
        told, seen = user.stats(), running.app.seen()

    assert "LR132" in end["violations"]
    assert 1 == told["sessions"]["mixed"]
    assert any("belongs to session 0" in found["because"] for found in seen["findings"])


def test_orphan_is_found():
    """
    A loop that cuts calls from their results is found, where it happens and in every total.
    """
    wanted = {"scenario": "pending_calls", "parameters": {"messages": 200}}
    scenario = make_scenario("pending_calls", 1, {"messages": "200"})
    with served(service(find("reference,policy=seed,max_history_pairs=10").make())) as (user, running):
        session = user.open(**wanted)
        broken = [user.turn(session, turn.say)["violations"] for turn in scenario.turns]
        told, page = user.stats(), user.http.get("/metrics").text

    assert any("LR121" in codes for codes in broken)
    assert told["violations"]["LR121"] > 0
    assert f'looprig_service_violations_total{{code="LR121"}} {told["violations"]["LR121"]}' in page.splitlines()
    found = next(found for found in running.app.bench.findings if found.code == "LR121")
    assert ("pending_calls", 1, (("messages", "200"),)) == found.script


def test_delete():
    """
    A session that is closed is gone, and was judged to its end.
    """
    with served(service()) as (user, _):
        session = user.open()
        user.turn(session, "[#s0t0] question 0")

        assert 204 == user.http.delete(f"/v1/sessions/{session}").status_code
        assert 404 == user.http.delete(f"/v1/sessions/{session}").status_code
        assert 404 == user.http.post(f"/v1/sessions/{session}/turns", json={"text": "?"}).status_code
        told = user.stats()

    assert (0, 1, 1) == (told["sessions"]["open"], told["sessions"]["closed"], told["sessions"]["opened"])


@pytest.mark.parametrize("idle_s", [1e-9])
def test_idle_sessions_expire(idle_s: float):
    """
    A session that nobody speaks to makes way.
    """
    with served(service(idle_s=idle_s)) as (user, _):
        session = user.open()
        told = user.until(lambda told: told["sessions"]["expired"])

        assert 404 == user.http.post(f"/v1/sessions/{session}/turns", json={"text": "?"}).status_code
    assert 0 == told["sessions"]["open"]


def test_sessions_are_bounded():
    """
    Beyond the bound a client is told when to come again; a session that is closed makes room.
    """
    with served(service(sessions=2)) as (user, _):
        first, _ = user.open(), user.open()
        refused = user.http.post("/v1/sessions", json={})

        assert (429, "full") == (refused.status_code, refused.json()["error"]["type"])
        assert int(refused.headers["retry-after"]) >= 1
        user.http.delete(f"/v1/sessions/{first}")
        user.open()
        assert 1 == user.stats()["sessions"]["refused"]


def test_bodies_are_bounded():
    """
    A body beyond the bound is refused, in one piece or in many, and the connection goes on.
    """
    with served(service(body=1000)) as (user, _):
        session = user.open()
        path = f"/v1/sessions/{session}/turns"
        large = b'{"text": "' + b"x" * 200_000 + b'"}'

        assert 413 == user.http.post(path, content=large).status_code
        assert 413 == user.http.post(path, content=iter([large[:9], large[9:]])).status_code
        assert "end" == user.say(session, "[#s0t0] question 0")[-1][0]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/v1/sessions", b"{", 400, "truncated"),
        ("POST", "/v1/sessions", b'{"sed": 3}', 400, "unknown field `sed`"),
        ("POST", "/v1/sessions", b'{"seed": "x"}', 400, "$.seed"),
        ("POST", "/v1/sessions", b'{"scenario": "no_such"}', 404, "there is no scenario 'no_such'"),
        ("POST", "/v1/sessions", b'{"scenario": "../x.py"}', 404, "by its name"),
        ("POST", "/v1/sessions", b'{"scenario": "pending_calls", "parameters": {"x": 1}}', 400, "no parameter 'x'"),
        ("POST", "/v1/sessions", b'{"scenario": "pending_calls", "parameters": {"messages": 1e12}}', 400, "too much"),
        ("POST", "/v1/sessions/nobody/turns", b'{"text": "?"}', 404, "no session 'nobody'"),
        ("DELETE", "/v1/sessions", b"", 405, "does not take DELETE"),
        ("GET", "/v1/sessions/nobody", b"", 405, "does not take GET"),
        ("GET", "/nonsense", b"", 404, "GET / lists"),
        ("POST", "/v1/sessions/a/b/c", b"", 404, "GET / lists"),
        ("POST", "/health", b"", 405, "does not take POST"),
    ],
)
def test_what_is_refused(method: str, path: str, body: bytes, status: int, said: str):
    """
    What is wrong with a request is told in words, with the status that programs go by.
    """
    with served(service()) as (user, _):
        response = user.http.request(method, path, content=body)

    assert status == response.status_code
    assert said in response.json()["error"]["message"]


def test_text_that_is_none():
    """
    A turn needs a text.
    """
    with served(service()) as (user, _):
        path = f"/v1/sessions/{user.open()}/turns"
        refused = [user.http.post(path, content=body) for body in (b'{"say": "?"}', b"{", b"\xff", b'{"text": 3}')]

    assert [400] * 4 == [response.status_code for response in refused]


def test_half_a_character():
    """
    Half a surrogate pair, which JSON can tell as an escape alone, is said to the loop like any other text.
    """
    with served(service()) as (user, _):
        path = f"/v1/sessions/{user.open()}/turns"
        response = user.http.post(path, content=b'{"text": "x\\ud800y"}')
        told = user.stats()

    assert "[#s0t0] this is the answer to question 0" == events_of(response.text)[-1][1]["answer"]
    assert {} == told["violations"]


def test_pages():
    """
    The service tells how it is, what there is, and what it did, for people and for Prometheus.
    """
    with served(service()) as (user, _):
        user.turn(user.open(), "[#s0t0] question 0")
        pages = {path: user.http.get(path).text for path in ("/", "/health", "/metrics", "/v1/stats")}

    assert "POST /v1/sessions/ID/turns" in pages["/"]
    assert '"status":"ok"' in pages["/health"]
    assert 'looprig_service_turns_total{state="finished"} 1' in pages["/metrics"].splitlines()
    assert "# TYPE looprig_service_resident_bytes gauge" in pages["/metrics"]


def test_misuse_is_told():
    """
    A loop that hands its model nonsense gets an error, and its run is no verdict.
    """
    with served(service(loops.Misusing)) as (user, running):
        events = user.say(user.open(), "[#s0t0] question 0")
        seen = running.app.seen()

    assert "error" == events[-1][0]
    assert "the loop called the model with a value of type str" in seen["misuse"]
