"""Connections that rest: whatever way requests come on one, each is answered, in order."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from looprig.serving.running import serving

SLOW_S = 0.1


class Echo:
    """Answers with path and body; slowly where the path says so."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        if scope["path"].startswith("/slow"):
            await asyncio.sleep(SLOW_S)
        told = scope["path"].encode() + b" " + body
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(told))]})
        await send({"type": "http.response.body", "body": told})

    def leave(self) -> None:
        """Nothing is held open."""

    def finish(self) -> None:
        """Nothing is kept."""


def request(path: str, body: bytes) -> bytes:
    return b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (path.encode(), len(body), body)


def heard(plug: socket.socket, last: bytes) -> list[bytes]:
    found = b""
    while not found.endswith(last):
        part = plug.recv(1 << 16)
        assert part, found
        found += part
    return [each.partition(b"\r\n\r\n")[2] for each in found.split(b"HTTP/1.1 200 OK\r\n")[1:]]


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10)


def test_pipelined_requests_are_answered_in_order():
    """
    Four requests that come at once, slow ones before quick ones, are answered one after the other.
    """
    with serving(Echo()) as server, connect(server.port) as plug:
        plug.sendall(request("/slow1", b"a") + request("/2", b"b") + request("/slow3", b"c") + request("/4", b"d"))

        assert [b"/slow1 a", b"/2 b", b"/slow3 c", b"/4 d"] == heard(plug, b"/4 d")


@pytest.mark.parametrize("at", [1, 20, 45, 60])
def test_request_that_comes_in_pieces(at: int):
    """
    The beginning of a request that comes while the one before is being answered is not forgotten with it.
    """
    following = request("/next", b"some words that make a body of some length")
    with serving(Echo()) as server, connect(server.port) as plug:
        plug.sendall(request("/slow", b"") + following[:at])
        first = heard(plug, b"/slow ")
        time.sleep(SLOW_S / 2)
        plug.sendall(following[at:])

        assert [b"/slow "] == first
        assert [b"/next some words that make a body of some length"] == heard(plug, b"length")


def test_answered_request_is_let_go():
    """
    A connection that rests holds neither the request that was answered nor its headers; then it goes on.
    """
    with serving(Echo()) as server, connect(server.port) as plug:
        plug.sendall(request("/1", b"x"))
        heard(plug, b"/1 x")
        connections: list[Any] = server.ask(lambda: list(server._server.server_state.connections))

        assert [(None, None, [])] == [(each.cycle, each.scope, each.headers) for each in connections]
        plug.sendall(request("/2", b"y"))
        assert [b"/2 y"] == heard(plug, b"/2 y")
