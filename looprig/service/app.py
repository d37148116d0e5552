"""The service as a bare ASGI application: who is asked for, and what becomes of a connection.

A turn is a task that puts what happens into an outbox; whoever holds the connection sends what is there, all of it in
one piece, and notices a client that leaves. So a slow client holds up nobody, and a fast one costs next to nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from looprig.service import chat, page
from looprig.service.events import PING, Events
from looprig.service.judging import Bench
from looprig.service.scripts import BadScenario, Key, Scripts, Unknown, marked, unmarked
from looprig.service.seat import Live, Seat
from looprig.service.sessions import Full, Sessions
from looprig.service.settings import Settings
from looprig.service.tally import Tally
from looprig.service.turns import Busy, Turns
from looprig.serving.flow import Receive, Send, whole_body
from looprig.serving.ready import EVENTS, JSON, Ready, as_body, as_json, header
from looprig.subject import LoopError

STREAM = [(b"content-type", EVENTS), (b"cache-control", b"no-cache")]
"""Headers of a stream of events."""

QUIET_S = 15.0
"""After so long without an event a comment is sent, so that nobody in between gives the connection up."""

TICK_S = 1.0
PASSES = 4
"""Rounds of the event loop that a turn gets before its client is watched: most turns without pauses end in them."""

_log = logging.getLogger("looprig.service")


class Refusal(Exception):
    """An answer that is an error; ``retry_s`` is what the client is told to wait."""

    def __init__(self, status: int, kind: str, text: str, retry_s: int | None = None) -> None:
        super().__init__(text)
        self.status, self.kind, self.retry_s = status, kind, retry_s


class _Open(msgspec.Struct, forbid_unknown_fields=True):
    scenario: str | None = None
    seed: int | None = None
    parameters: dict[str, str | int | float | bool] | None = None


class _Say(msgspec.Struct, forbid_unknown_fields=True):
    text: str


_OPEN, _SAY = msgspec.json.Decoder(_Open), msgspec.json.Decoder(_Say)


def _said(body: bytes) -> str:
    """Read what is said; half a character, which a scenario may well have typed, can only come as an escape."""
    try:
        return _SAY.decode(body).text
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            return msgspec.convert(json.loads(body), _Say).text
        except (ValueError, RecursionError) as error:
            raise Refusal(400, "bad_request", f"the body is no JSON: {error}") from error


class Asked(NamedTuple):
    """A request, whole, and its connection."""

    method: str
    path: str
    body: bytes
    receive: Receive
    send: Send


class Service:
    """The loop as a service: see the module."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tally = Tally()
        self.bench = Bench()
        default = Key(settings.scenario, settings.seed, tuple(sorted(settings.parameters.items())))
        self.scripts = Scripts(settings.make, default)
        self.sessions = Sessions(settings, self.scripts, self.bench, self.tally)
        self.turns = Turns(settings, self.scripts, self.sessions, self.bench, self.tally)
        self.draining = False
        self._ticking = False
        self._pages: Mapping[str, Callable[[], Ready]] = {
            "/": lambda: as_body(page.addresses(settings), b"text/plain; charset=utf-8"),
            "/health": self._health,
            "/v1/stats": lambda: as_json(self.stats()),
            "/metrics": lambda: as_body(
                page.as_prometheus(self.stats()).encode(), b"text/plain; version=0.0.4; charset=utf-8"
            ),
        }
        self.sessions.try_out(default)

    # -- one request ---------------------------------------------------------------------------------

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        message = await receive()
        if message["type"] != "http.request":
            return  # the client left before its request was whole
        body: bytes | None = message.get("body", b"")
        if message.get("more_body"):
            body = await whole_body(body or b"", receive, self.settings.bounds.body)
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK_S, self._tick)
        asked = Asked(scope["method"], scope["path"], body or b"", receive, send)
        chatting = asked.path == CHAT
        try:
            if body is None or len(body) > self.settings.bounds.body:
                raise Refusal(413, "too_large", f"a body may have {self.settings.bounds.body:,} bytes")
            ready = await self._routed(asked)
        except Exception as error:
            ready = _told(_refusal(error), chatting)
        if ready is not None:
            await send({"type": "http.response.start", "status": ready.status, "headers": ready.headers})
            await send({"type": "http.response.body", "body": ready.body})

    async def _routed(self, asked: Asked) -> Ready | None:
        method, path = asked.method, asked.path
        found = self._pages.get(path)
        if found is not None:
            return found() if method in ("GET", "HEAD") else _not_allowed(method, path)
        if path == CHAT:
            return await self._chat(asked) if method == "POST" else _not_allowed(method, path)
        if path == SESSIONS:
            return self._opened(asked.body) if method == "POST" else _not_allowed(method, path)
        ident, slash, rest = path.removeprefix(f"{SESSIONS}/").partition("/")
        if not path.startswith(f"{SESSIONS}/") or rest not in ("", "turns") or (slash and not rest):
            raise Refusal(404, "not_found", f"there is no {path:.80} here; GET / lists what there is")
        if method != ("POST" if rest else "DELETE"):
            return _not_allowed(method, path)
        seat = self.sessions.get(ident)
        if seat is None:
            raise Refusal(
                404, "no_session", f"there is no session {ident!r:.60}; it was closed, expired or never opened"
            )
        if not rest:
            return self._closed(seat)
        await self._turn(seat, asked)
        return None

    def _opened(self, body: bytes) -> Ready:
        self._open_for_business()
        wanted = _OPEN.decode(body or b"{}")
        parameters = wanted.parameters
        texts = None if parameters is None else {name: _as_text(value) for name, value in parameters.items()}
        seat = self.sessions.open(self.scripts.key(wanted.scenario, wanted.seed, texts))
        return as_json({"id": seat.id}, 201)

    def _closed(self, seat: Seat) -> Ready:
        if seat.live is not None:
            seat.closing = True
            self.turns.leave(seat.live)
        else:
            self.sessions.close(seat)
        return Ready(204, [])

    async def _turn(self, seat: Seat, asked: Asked) -> None:
        self._open_for_business("turns")
        text = _said(asked.body)
        self.turns.admit(seat)
        live = self._begun(self.turns.begin(seat, text, Events()), pings=True)
        await self._stream(live, asked)

    def _open_for_business(self, what: str = "sessions") -> None:
        if self.draining:
            counts = self.tally.turns if what == "turns" else self.tally.sessions
            counts["refused"] += 1
            raise Refusal(503, "stopping", "the service is about to end, and takes nothing new", 1)

    # -- one turn ------------------------------------------------------------------------------------

    def _begun(self, live: Live, pings: bool) -> Live:
        """Let a turn run, with the faults that are planned for it."""
        live.pings = pings
        count = self.tally.turns["started"]
        events = asyncio.get_running_loop()
        for fault in self.settings.faults:
            if fault.kind == "freeze" and not self.tally.faults["freeze"]:
                self.tally.faults["freeze"] += 1
                events.call_later(fault.at_s, time.sleep, fault.for_s)
            elif fault.kind != "freeze" and count % fault.every == 0:
                self.tally.faults[fault.kind] += fault.kind == "stall"
                live.cut = live.cut or fault.kind == "cut"
                live.stall_s += fault.for_s
        live.task = events.create_task(self._played(live))
        return live

    async def _played(self, live: Live) -> None:
        await self.turns.play(live)
        if live.seat.closing:
            self.sessions.close(live.seat)

    async def _stream(self, live: Live, asked: Asked) -> None:
        """Send what happens in a turn when it happens; a client that leaves ends the turn."""
        outbox, send, started = live.outbox, asked.send, False
        watch: asyncio.Task[None] | None = None
        try:
            for _ in range(PASSES):
                await asyncio.sleep(0)
                if outbox.closed:
                    break
            else:
                watch = asyncio.get_running_loop().create_task(self._watched(live, asked.receive))
            while part := await outbox.take():
                if not started:
                    started = True
                    await send({"type": "http.response.start", "status": 200, "headers": STREAM})
                await send({"type": "http.response.body", "body": part, "more_body": True})
            if started and not outbox.torn:
                await send({"type": "http.response.body", "body": b""})
        finally:
            if watch is not None:
                watch.cancel()
            self.turns.leave(live)

    async def _watched(self, live: Live, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.turns.leave(live)

    # -- chat completions ----------------------------------------------------------------------------

    async def _chat(self, asked: Asked) -> Ready | None:
        self._open_for_business("turns")
        wanted = chat.read(asked.body)
        self.turns.admit(None)
        places = wanted.places()
        seat = self.sessions.warm(places[-1])
        if seat is None:
            seat = await self._brought_up(wanted)
        wire: chat.Chunks | chat.Whole
        ident = f"{seat.id}-{seat.turns}"
        wire = chat.Chunks(ident, wanted.model, wanted.usage) if wanted.stream else chat.Whole(ident, wanted.model)
        try:
            live = self._begun(self.turns.begin(seat, wanted.text, wire, systems=False), pings=wanted.stream)
            if wanted.stream:
                await self._stream(live, asked)
                return None
            return await self._gathered(live, asked.receive)
        finally:
            self._kept(seat, None if wire.answer is None else chat.place(places[-1], wanted.text, wire.answer))

    async def _brought_up(self, wanted: chat.Asked) -> Seat:
        """Open a session, and bring its loop to where the conversation is."""
        seat = self.sessions.open(self.scripts.default)
        try:
            self.turns.add_systems(seat, wanted.systems)
            for number, (said, answered) in enumerate(wanted.earlier):
                text = marked(said, seat.number, number)
                await self.turns.replay(seat, text, unmarked(answered), chat.Whole("", ""))
        except BaseException:
            self.sessions.close(seat)
            raise
        return seat

    async def _gathered(self, live: Live, receive: Receive) -> Ready | None:
        """Return the whole answer, or None where nobody waits for it any more."""
        watch = asyncio.get_running_loop().create_task(self._watched(live, receive))
        parts = []
        try:
            while part := await live.outbox.take():
                parts.append(part)
        finally:
            watch.cancel()
            self.turns.leave(live)
        if live.outbox.torn:
            return None
        assert isinstance(live.wire, chat.Whole)
        return as_body(b"".join(parts), JSON, live.wire.status)

    def _kept(self, seat: Seat, where: bytes | None) -> None:
        if where is not None and seat.live is None:
            self.sessions.keep_warm(seat, where)
        elif seat.live is None:
            self.sessions.close(seat)
        else:
            seat.closing = True

    # -- what the service tells ----------------------------------------------------------------------

    def _health(self) -> Ready:
        if self.draining:
            return as_json({"status": "stopping"}, 503)
        return as_json({"status": "ok", "loop": self.settings.spec, "scenario": self.settings.scenario})

    def stats(self) -> dict[str, Any]:
        """Return the state of the service as plain data."""
        return page.stats(self.sessions, self.turns, self.bench, self.tally)

    def seen(self) -> dict[str, Any]:
        """Return everything that a verdict is made of."""
        return page.seen(self.settings, self.stats(), self.bench, self.tally.misuse)

    # -- time, and the end ---------------------------------------------------------------------------

    def _tick(self) -> None:
        events = asyncio.get_running_loop()
        events.call_later(TICK_S, self._tick)
        now = self.sessions.clock.now()
        self.turns.watch(now)
        self.sessions.expire(now)
        for live in self.turns.running:
            if live.pings and events.time() - live.outbox.quiet_since > QUIET_S:
                live.outbox.put(PING)

    def drain(self) -> int:
        """Take nothing new; return how many turns run. It is called in the event loop."""
        self.draining = True
        return len(self.turns.running)

    def leave(self) -> None:
        """The server is about to end: cancel the turns that still run."""
        self.draining = True
        self.sessions.clock.over.set()
        for live in tuple(self.turns.running):
            self.turns.give_up(live)

    def finish(self) -> None:
        """Take leave of all sessions, so that how they end is judged too."""
        for seat in self.sessions:
            if seat.live is None:
                self.sessions.close(seat)


SESSIONS = "/v1/sessions"
CHAT = "/v1/chat/completions"


def _as_text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _not_allowed(method: str, path: str) -> Ready:
    raise Refusal(405, "not_allowed", f"{path:.80} does not take {method}; GET / lists what there is")


def _refusal(error: Exception) -> Refusal:
    match error:
        case Refusal():
            return error
        case Full():
            return Refusal(429, "full", str(error), error.retry_s)
        case Busy():
            return Refusal(409, "busy", str(error))
        case Unknown():
            return Refusal(404, "no_scenario", str(error))
        case BadScenario() | chat.BadRequest() | msgspec.DecodeError() | UnicodeDecodeError():
            return Refusal(400, "bad_request", str(error))
        case LoopError():
            return Refusal(500, "loop_error", str(error))
    _log.exception("a bug in looprig", exc_info=error)
    text = f"internal error: {type(error).__name__}: {error}; this is a bug in looprig, please report it"
    return Refusal(500, "internal", text)


def _told(refusal: Refusal, chatting: bool) -> Ready:
    if chatting:
        kind = "invalid_request_error" if refusal.status < 500 else "server_error"
        ready = as_json(chat.failure(str(refusal), kind), refusal.status)
    else:
        ready = as_json({"error": {"type": refusal.kind, "message": str(refusal)}}, refusal.status)
    if refusal.retry_s is not None:
        ready.headers.append(header("retry-after", str(refusal.retry_s)))
    return ready
