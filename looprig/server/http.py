"""HTTP/1.1 for the server: a protocol that answers a request as soon as its last byte is there.

There is no task, no queue and no copy between the parser and the answer, which makes it some times as fast as a web
framework's way; what takes time by order is a chain of timers. `httptools` parses.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

import httptools

from looprig.server.ready import Ready, as_json

BODY_MAX = 64 * 2**20
"""Bytes that a request may have: more than any provider takes."""

TOGETHER_S = 0.0005
"""Parts that are due within this time go out together."""

STALL_S = 3600.0
"""How long a connection is held open that a fault has stalled."""

_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_STATUS[529] = b"HTTP/1.1 529 Overloaded\r\n"  # Anthropic's own

_log = logging.getLogger("looprig.server")


class Asked(NamedTuple):
    """A request, whole."""

    method: bytes
    path: str
    query: str
    headers: Mapping[bytes, bytes]
    body: bytes
    keep: bool


@lru_cache(maxsize=256)
def _parted(url: bytes) -> tuple[str, str]:
    path, _, query = url.decode("latin-1").partition("?")
    return path, query


class Answers(Protocol):
    """What answers requests; ``closing`` is true once the server is about to end."""

    closing: bool

    def answer(self, asked: Asked) -> Ready: ...


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, app: Answers, events: asyncio.AbstractEventLoop, all_: set[Connection]) -> None:
        self.events = events
        self._app = app
        self._all = all_
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._flow: Flow | None = None
        self._waiting: deque[Asked] = deque()
        self.paused = False

    # -- the transport ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._all.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.discard(self)
        self._waiting.clear()
        if self._flow is not None:
            self._flow.end()
            self._flow = None

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self._flow is not None:
            self._flow.advance()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._turn_away(501, "This server changes to no other protocol.")
        except httptools.HttpParserError as error:
            self._turn_away(400, f"This is no HTTP request: {error}.")

    def _turn_away(self, status: int, text: str) -> None:
        if not self._transport.is_closing():
            self._write(as_json({"error": text}, status), keep=False)

    # -- the parser ---------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body, self._size = b"", {}, [], 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._headers[name] = value
        if name == b"expect" and value.lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._size += len(body)
        if self._size > BODY_MAX:
            self._turn_away(413, f"A request may have {BODY_MAX} bytes.")

    def on_message_complete(self) -> None:
        if self._transport.is_closing():
            return
        path, query = _parted(self._url)
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        parser = self._parser
        asked = Asked(parser.get_method(), path, query, self._headers, body, parser.should_keep_alive())
        if self._flow is not None:
            self._waiting.append(asked)  # it came before the answer to the one before
        else:
            self._answer(asked)

    # -- answers ------------------------------------------------------------------------------------

    def _answer(self, asked: Asked) -> None:
        try:
            ready = self._app.answer(asked)
        except Exception as error:  # the parser would take it for a fault of the request
            _log.exception("a bug in looprig: %s %s was not answered", asked.method, asked.path)
            text = f"internal error: {type(error).__name__}: {error}; this is a bug in looprig, please report it"
            ready = as_json({"error": {"message": text, "type": "server_error"}}, 500)
        if ready.parts:
            self._flow = Flow(self, ready, asked.keep)
            self._flow.advance()
        else:
            self._write(ready, asked.keep)

    def _write(self, ready: Ready, keep: bool) -> None:
        keep = keep and not self._app.closing
        head, body = self.head_of(ready, keep), ready.body
        if ready.chunked:
            self._transport.write(b"%b%x\r\n%b\r\n0\r\n\r\n" % (head, len(body), body))
        else:
            self._transport.write(head + body)
        if not keep:
            self._transport.close()

    def head_of(self, ready: Ready, keep: bool) -> bytes:
        """Return the first bytes of a response, up to its body."""
        status = _STATUS.get(ready.status) or b"HTTP/1.1 %d \r\n" % ready.status
        return b"%b%b%b\r\n" % (status, ready.head, b"" if keep else b"connection: close\r\n")

    def send(self, data: bytes) -> None:
        """Send bytes of a flow."""
        self._transport.write(data)

    def flowed(self, keep: bool) -> None:
        """A flow has come to its end: go on with what was asked meanwhile."""
        self._flow = None
        if not keep or self._app.closing:
            self._transport.close()
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and self._flow is None and not self._transport.is_closing():
            self._answer(self._waiting.popleft())

    @property
    def closing(self) -> bool:
        """Whether the server is about to end."""
        return self._app.closing

    def leave(self) -> None:
        """The server ends: a connection with nothing under way is closed, others when they are done."""
        if self._flow is None or self._flow.stalled:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()


class Flow:
    """A response whose parts have moments at which they are due, counted from the request.

    A client that reads slowly holds it up; what has become due meanwhile goes out in one write.
    """

    def __init__(self, connection: Connection, ready: Ready, keep: bool) -> None:
        self._connection = connection
        self._ready = ready
        self._keep = keep
        self._begun = connection.events.time()
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None
        self.stalled = False
        self.ready_open(1)

    def ready_open(self, by: int) -> None:
        """Tell how many answers are being given."""
        if self._ready.opened is not None:
            self._ready.opened(by)

    def advance(self) -> None:
        """Send what is due, and wait for what comes next."""
        connection, parts = self._connection, self._ready.parts
        if connection.paused or self.stalled:
            return
        if self._timer is not None:
            self._timer.cancel()
        first, count = self._next, len(parts)
        last = connection.events.time() - self._begun + TOGETHER_S
        at = first
        while at < count and parts[at][0] <= last:
            at += 1
        self._next = at
        if at > first:
            self._send(first, b"".join([part for _, part in parts[first:at]]), at == count)
        if at < count:
            self._timer = connection.events.call_at(self._begun + parts[at][0], self.advance)
        else:
            self._over()

    def _send(self, first: int, body: bytes, last: bool) -> None:
        ready, connection = self._ready, self._connection
        head = b"" if first else connection.head_of(ready, self._keep)
        if ready.chunked:
            end = b"0\r\n\r\n" if last and ready.whole else b""
            body = b"%x\r\n%b\r\n%b" % (len(body), body, end) if body else end
        connection.send(head + body)

    def _over(self) -> None:
        if self._ready.stalls:
            self.stalled = True
            self._timer = self._connection.events.call_later(STALL_S, self._connection.abort)
            return
        self.ready_open(-1)
        self._connection.flowed(self._keep and self._ready.whole)

    def end(self) -> None:
        """The client is gone."""
        if self._timer is not None:
            self._timer.cancel()
        if self._next < len(self._ready.parts) or self.stalled:
            self.ready_open(-1)
            self._next = len(self._ready.parts)
            self.stalled = False
