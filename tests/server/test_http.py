"""HTTP: what goes over the wire, with a real server."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from looprig.server import app as application
from looprig.server.app import BODY_MAX
from looprig.server.faults import parse_fault
from looprig.server.running import CannotServe, Running, serving
from looprig.serving.pacing import Latency, Pace
from tests.server.clients import served, talk, user

BODY = json.dumps({"model": "gpt-4o", "messages": [user("[#s0t0] hi")]}).encode()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with serving(served(talk(4, {}), judge=False)) as running:
        yield running


@pytest.fixture
def client(running: Running) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    yield made
    made.close()


def asked(client: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    client.request(method, path, body, {"content-type": "application/json"})
    response = client.getresponse()
    return response.status, json.loads(response.read())


def raw(running: Running, data: bytes) -> bytes:
    """Send bytes, of which the last request ends the connection, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as plug:
        plug.sendall(data)
        parts = []
        while part := plug.recv(65536):
            parts.append(part)
        return b"".join(parts)


def test_connection_is_kept(client: http.client.HTTPConnection):
    """
    Many requests go over one connection, at once or in chunks.
    """
    client.connect()
    plug = client.sock
    statuses = [asked(client, "POST", "/v1/chat/completions", body)[0] for body in (BODY, iter([BODY[:9], BODY[9:]]))]

    assert ([200, 200], plug) == (statuses, client.sock)


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/journal", "/scenario"])
def test_pages(client: http.client.HTTPConnection, path: str):
    """
    The server tells how it is, what it has and what it saw.
    """
    status, page = asked(client, "GET", path)

    assert 200 == status
    assert page


@pytest.mark.parametrize(
    ("method", "path", "status", "key"),
    [
        ("GET", "/v1/chat/completions", 405, "param"),
        ("GET", "/v1/messages", 405, "type"),
        ("GET", "/v1beta/models/gemini-2.5-flash:generateContent", 405, "status"),
        ("POST", "/v1/nonsense", 404, "param"),
        ("POST", "/v1/messages/batches", 404, "type"),
        ("DELETE", "/journal", 405, "param"),
    ],
)
def test_wrong_path_or_method(client: http.client.HTTPConnection, method: str, path: str, status: int, key: str):
    """
    A path or method that there is not is told in the envelope of the provider that it looks like.
    """
    found, page = asked(client, method, path)

    assert status == found
    assert key in page["error"]


def test_query_that_is_none(client: http.client.HTTPConnection):
    """
    A number that is none is told.
    """
    assert 400 == asked(client, "GET", "/scenario?session=x")[0]


def test_token_count(client: http.client.HTTPConnection):
    """
    Anthropic's token count needs no max_tokens.
    """
    body = json.dumps({"model": "claude-sonnet-5", "messages": [user("a" * 400)]})

    assert (200, {"input_tokens": 104}) == asked(client, "POST", "/v1/messages/count_tokens", body)
    assert 400 == asked(client, "POST", "/v1/messages/count_tokens", '{"messages": 3}')[0]
    assert 400 == asked(client, "POST", "/v1/messages/count_tokens", "{")[0]


def test_requests_at_once(running: Running):
    """
    Requests that come without waiting for answers are answered in order; the last one says that it is the last.
    """
    one = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"

    answer = raw(running, one + one + last)

    assert 3 == answer.count(b"HTTP/1.1 200 OK")
    assert 1 == answer.count(b"connection: close")


def test_what_is_no_http(running: Running):
    """
    What is no HTTP is turned away, and who wants another protocol is answered in this one.
    """
    upgrade = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close, upgrade\r\nupgrade: websocket\r\n\r\n"

    assert raw(running, b"hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert raw(running, upgrade).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
def test_size(client: http.client.HTTPConnection, more: int, status: int, monkeypatch: pytest.MonkeyPatch):
    """
    A body that is far too large is refused, and the connection goes on.
    """
    large = BODY + b" " * 300_000
    monkeypatch.setattr(application, "BODY_MAX", len(large))

    assert status == asked(client, "POST", "/v1/chat/completions", large + b" " * more)[0]
    assert 200 == asked(client, "GET", "/health")[0]
    assert BODY_MAX > 32 * 2**20


def test_status_of_its_own():
    """
    Anthropic's 529, which no list of statuses has, gets through.
    """
    body = json.dumps({"model": "claude-sonnet-5", "max_tokens": 9, "messages": [user("[#s0t0] hi")]})
    with serving(served(faults=(parse_fault("overloaded"),))) as running:
        other = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        status, page = asked(other, "POST", "/v1/messages", body)
        other.close()

    assert (529, "overloaded_error") == (status, page["error"]["type"])


def test_continue(running: Running):
    """
    A client that asks whether it may send its body is told to.
    """
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    )

    answer = raw(running, head % len(BODY) + BODY)

    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_gemini_without_events(client: http.client.HTTPConnection):
    """
    Gemini streams one JSON array where no events are asked for.
    """
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "[#s0t0] hi"}]}]})

    status, chunks = asked(client, "POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", body)

    text = "".join(part["text"] for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"])
    assert (200, "[#s0t0] answer 0") == (status, text)


def begun(running: Running, body: bytes) -> http.client.HTTPResponse:
    """Ask on a connection of its own, which ends with the response."""
    client = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    client.request("POST", "/v1/chat/completions", body, {"connection": "close"})
    return client.getresponse()


def test_dropped_and_stalled_answers():
    """
    A dropped answer ends its connection early. A stalled one holds it, and does not hold up the end of the server.
    """
    with serving(served(talk(4, {}), faults=(parse_fault("drop:every=2"), parse_fault("stall")))) as running:
        stalled, dropped = begun(running, BODY), begun(running, BODY)
        first = stalled.read(20)
        with dropped, pytest.raises(http.client.IncompleteRead):
            dropped.read()
    assert 20 == len(first)
    with stalled, pytest.raises(http.client.IncompleteRead):
        stalled.read()


def test_stream_finishes_when_the_server_ends():
    """
    A stream that is under way when the server is stopped gets to its end.
    """
    with serving(served(talk(4, {}), pace=Pace(itl=Latency(0.02)))) as running:
        response = begun(running, BODY[:-1] + b',"stream":true}')
        first = response.read(10)
    with response:
        rest = response.read()

    assert first.startswith(b"data: ")
    assert rest.endswith(b"data: [DONE]\n\n")


def test_bug_is_told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """
    What goes wrong inside is told as a bug, logged, and leaves the connection as it was.
    """
    app = served()
    with serving(app) as running, caplog.at_level("CRITICAL", "looprig.server"):
        monkeypatch.setattr(app, "answer", lambda _asked: 1 // 0)
        answer = raw(running, b"GET /health HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\nconnection: close\r\n\r\n")

    assert 2 == answer.count(b"HTTP/1.1 500 ")
    assert b"ZeroDivisionError" in answer


def test_port_that_is_taken():
    """
    A port that is taken is told, with what to do.
    """
    with serving(served()) as running, pytest.raises(CannotServe, match="choose another with --port"):
        Running(served(), port=running.port)
