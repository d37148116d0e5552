"""The server as a bare ASGI application: which provider a path belongs to, and the pages of looprig's own.

A request is worked on in one piece, from its last byte to the last byte of its answer; only what takes time by
order (latencies, faults) is sent later. So the sessions need no locks.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from looprig.content import ContentError
from looprig.providers.anthropic import Anthropic
from looprig.providers.base import Problem, Provider, Refused, Seen
from looprig.providers.gemini import Gemini
from looprig.providers.openai_chat import OpenAIChat
from looprig.providers.openai_responses import OpenAIResponses
from looprig.providers.openai_store import Store
from looprig.scenario import Scenario
from looprig.server import journal as journals
from looprig.server.exchange import CREATED_FROM, Exchange
from looprig.server.judging import Bench
from looprig.server.plays import Play
from looprig.server.sessions import Conversation, Sessions
from looprig.server.settings import Settings
from looprig.serving.flow import Alarm, Receive, Send, send_paced, whole_body
from looprig.serving.ready import JSON, Ready, as_body, as_json
from looprig.tokens import counter, message_tokens
from looprig.toolbox import TOOLBOX
from looprig.version import __version__

PATHS: Mapping[str, str] = {
    "/v1/chat/completions": "openai-chat",
    "/chat/completions": "openai-chat",
    "/v1/responses": "openai-responses",
    "/responses": "openai-responses",
    "/v1/messages": "anthropic",
}
"""The paths of one provider each; Gemini's hold the model."""

_GEMINI = re.compile(r"/(?:v1|v1beta|v1alpha)/models/([^/:]+):(generateContent|streamGenerateContent)")

PLAYS_KEPT = 100
"""Scenarios that are kept ready."""

BODY_MAX = 64 * 2**20
"""Bytes that a request may have: more than any provider takes."""

STALL_S = 3600.0
"""How long a connection is held open that a fault has stalled."""

_log = logging.getLogger("looprig.server")


class Asked(NamedTuple):
    """A request, whole."""

    method: str
    path: str
    query: str
    headers: Mapping[bytes, bytes]
    body: bytes


class App:
    """The strict model: see the module. ``find`` finds a scenario that a header names."""

    def __init__(self, settings: Settings, find: Callable[[str], Scenario] | None = None) -> None:
        self.settings = settings
        self._find = find
        self._stalled: set[Alarm] = set()
        self._plays: dict[str, Play] = {}
        self._pages: Mapping[str, Callable[[Mapping[str, list[str]]], Ready]] = {
            "/health": self._health,
            "/v1/models": self._models,
            "/metrics": self._metrics,
            "/journal": lambda _: as_json(self.seen()),
            "/scenario": self._scenario,
        }
        self.begin(settings.scenario)

    def begin(self, scenario: Scenario) -> None:
        """Play *scenario* from now on, with sessions and a journal that are empty."""
        self.providers = providers_of(self.settings)
        self.play = Play(scenario)
        self.journal = journals.Journal()
        self.bench = Bench(self.settings.contract, self.journal.violated) if self.settings.judge else None
        self.sessions = Sessions(self.play, self.bench, self._play_of, self._gone)
        self._exchange = Exchange(self.settings, self.providers, self.sessions, self.journal)
        for plan in self.settings.faults:
            plan.reset()

    def finish(self) -> None:
        """End the turns that go on, so that they are judged too."""
        self.sessions.finish()

    def _gone(self, _conversation: Conversation) -> None:
        self.journal.gone += 1

    def _play_of(self, name: str) -> Play:
        if name not in self._plays:
            if self._find is None or not name.isidentifier():  # a header shall not name a file to be run
                raise LookupError(f"this server has no scenario {name!r}")
            if len(self._plays) >= PLAYS_KEPT:
                self._plays.clear()
            try:
                self._plays[name] = Play(self._find(name))
            except ContentError as error:
                raise LookupError(str(error)) from error
        return self._plays[name]

    # -- ASGI --------------------------------------------------------------------------------------

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        message = await receive()
        if message["type"] != "http.request":
            return  # the client left before its request was whole
        body: bytes | None = message.get("body", b"")
        if message.get("more_body"):
            body = await whole_body(body or b"", receive, BODY_MAX)
        ready = _TOO_LARGE if body is None else self._safely(scope, body)
        start = {"type": "http.response.start", "status": ready.status, "headers": ready.headers}
        if ready.parts:
            await self._slowly(ready, start, receive, send)
        else:
            await send(start)
            await send({"type": "http.response.body", "body": ready.body})

    def _safely(self, scope: Mapping[str, Any], body: bytes) -> Ready:
        query: bytes = scope["query_string"]
        asked = Asked(
            scope["method"], scope["path"], query.decode("latin-1") if query else "", dict(scope["headers"]), body
        )
        try:
            return self.answer(asked)
        except Exception as error:  # the server would answer without a word
            _log.exception("a bug in looprig: %s %s was not answered", asked.method, asked.path)
            text = f"internal error: {type(error).__name__}: {error}; this is a bug in looprig, please report it"
            return as_json({"error": {"message": text, "type": "server_error"}}, 500)

    async def _slowly(self, ready: Ready, start: dict[str, Any], receive: Receive, send: Send) -> None:
        """Send a response in parts, each when it is due."""
        begun = asyncio.get_running_loop().time()
        parts = [(begun + due, part) for due, part in ready.parts]
        alarm, journal = Alarm(receive), self.journal
        journal.open += 1
        try:
            if not await alarm.until(parts[0][0]):
                return
            await send(start)
            if not await send_paced(parts, alarm, send):
                return
            if ready.stalls:
                self._stalled.add(alarm)
                await alarm.until(begun + STALL_S)
            if ready.whole:
                await send({"type": "http.response.body", "body": b""})
        finally:
            journal.open -= 1
            self._stalled.discard(alarm)
            alarm.close()

    def leave(self) -> None:
        """Hold no connection open any longer that a fault has stalled: the server is about to end."""
        for alarm in self._stalled:
            alarm.end()

    def answer(self, asked: Asked) -> Ready:
        """Answer a request."""
        name = PATHS.get(asked.path)
        if name is not None and asked.method == "POST":
            return self._answered(name, asked)
        return self._elsewhere(asked)

    def _answered(self, name: str, asked: Asked, model: str | None = None, stream: bool | None = None) -> Ready:
        try:
            ready = self._exchange.reply(name, asked.body, asked.headers, model, stream)
        except LookupError as error:
            ready = self._told(self.providers[name], 404, str(error))
        tally = self.journal.tallies[name]
        if ready.status == 200:
            tally.answered += 1
        else:
            tally.statuses[ready.status] += 1
        return ready

    # -- what is no request to a model -------------------------------------------------------------

    def _elsewhere(self, asked: Asked) -> Ready:
        path, method = asked.path, asked.method
        gemini = _GEMINI.fullmatch(path)
        if gemini is not None and method == "POST":
            stream = gemini[2] == "streamGenerateContent"
            ready = self._answered("gemini", asked, gemini[1], stream)
            return as_array(ready) if stream and "alt=sse" not in asked.query else ready
        if path == "/v1/messages/count_tokens" and method == "POST":
            return self._token_count(asked.body)
        page = self._pages.get(path)
        if page is not None and method == "GET":
            return page(parse_qs(asked.query))
        return self._not_there(path, method, page is not None or gemini is not None or path in PATHS)

    def _not_there(self, path: str, method: str, known: bool) -> Ready:
        """Answer 404 or 405 in the envelope of the provider whose path it looks like."""
        name = "anthropic" if path.startswith("/v1/messages") else "gemini" if "/models/" in path else "openai-chat"
        provider = self.providers[name]
        if known:
            return self._told(provider, 405, f"{path} does not take {method}.")
        paths = ", ".join([*PATHS, "/v1beta/models/MODEL:generateContent", *self._pages])
        return self._told(provider, 404, f"There is no {path} here; looprig serves {paths}.")

    def _told(self, provider: Provider, status: int, text: str) -> Ready:
        """Answer with an error of the server's own, in a provider's envelope."""
        like = provider.fault("not_found")
        problem: Problem = msgspec.structs.replace(
            like, rule="looprig", status=status, message=text, param=None, code=None, pinned=False
        )
        return self._exchange.failed(provider, problem, "none")

    def _health(self, _query: Mapping[str, list[str]]) -> Ready:
        return as_json({"status": "ok", "looprig": __version__, "scenario": self.play.scenario.name})

    def _models(self, _query: Mapping[str, list[str]]) -> Ready:
        """List a few models that the providers' tables know; others of their families are served as well."""
        named = (("openai", "gpt-4o"), ("openai", "gpt-4.1-mini"), ("anthropic", "claude-sonnet-5"))
        models = [
            {"id": model, "object": "model", "created": CREATED_FROM, "owned_by": maker} for maker, model in named
        ]
        return as_json({"object": "list", "data": models})

    def _metrics(self, _query: Mapping[str, list[str]]) -> Ready:
        text = journals.as_prometheus(self._settled(), len(self.sessions), self.judgements())
        return as_body(text.encode(), b"text/plain; version=0.0.4; charset=utf-8")

    def _scenario(self, query: Mapping[str, list[str]]) -> Ready:
        """Tell what is to be typed: ``/scenario?session=3&first=0&turns=50&scenario=NAME``."""
        try:
            session, first, count = (
                int(query.get(key, [default])[0])
                for key, default in (("session", "0"), ("first", "0"), ("turns", "1000"))
            )
            play = self._play_of(query["scenario"][0]) if "scenario" in query else self.play
        except (ValueError, LookupError) as error:
            return as_json({"error": str(error)}, 400)
        tools = [
            {"name": spec.name, "description": spec.description, "parameters": spec.parameters()}
            for spec in TOOLBOX.values()
        ]
        scenario, turns = play.scenario, list(play.typed(session, max(0, first), max(0, count)))
        told = {"scenario": scenario.name, "seed": scenario.seed, "session": session, "turns": turns, "tools": tools}
        return as_json(told)

    def _token_count(self, raw: bytes) -> Ready:
        """Count the tokens of a Messages request, which need not say how long its answer may be."""
        provider, count = self.providers["anthropic"], counter(self.settings.tokens)
        try:
            body = msgspec.json.decode(raw)
            if isinstance(body, dict):
                body.setdefault("max_tokens", 1)
            received = provider.receive(msgspec.json.encode(body), Seen())
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._exchange.failed(provider, provider.fault("bad_request"), "none")
        except Refused as refused:
            return self._exchange.failed(provider, refused.problem, "none")
        return as_json({"input_tokens": sum(message_tokens(message, count) for message in received.messages)})

    # -- what was seen -----------------------------------------------------------------------------

    def judgements(self) -> Mapping[str, int]:
        """Return how often each invariant was judged."""
        return self.bench.checker.judgements if self.bench is not None else {}

    def _settled(self) -> journals.Journal:
        if self.bench is not None:
            self.journal.broken = self.bench.checker.broken + self.journal.stops
        return self.journal

    def seen(self) -> dict[str, Any]:
        """Return the journal as data."""
        about = {"looprig": __version__, "scenario": self.play.scenario.name, "seed": self.play.scenario.seed}
        return {**about, **journals.as_data(self._settled(), self.sessions, self.judgements())}


def providers_of(settings: Settings) -> Mapping[str, Provider]:
    """Return the providers as this server needs them: with its window and counter, and a store for Responses."""
    window, count = settings.window, counter(settings.tokens)
    made: Sequence[Provider] = (
        OpenAIChat(window, count),
        OpenAIResponses(Store(), window, count),
        Anthropic(window, count),
        Gemini(window, count),
    )
    return {provider.name: provider for provider in made}


_TOO_LARGE = as_json({"error": f"A request may have {BODY_MAX} bytes."}, 413)


def as_array(ready: Ready) -> Ready:
    """Return a stream of events as one JSON array, which is how Gemini streams where no events are asked for."""
    if ready.status != 200:
        return ready
    body = ready.body or b"".join(part for _, part in ready.parts)
    events = [event.removeprefix(b"data: ").strip() for event in body.replace(b"\r\n", b"\n").split(b"\n\n")]
    body = b"[" + b",\r\n".join(filter(None, events)) + b"]"
    headers = [(name, JSON if name == b"content-type" else value) for name, value in ready.headers]
    parts = [(ready.parts[-1][0], body)] if ready.parts else ()
    return msgspec.structs.replace(ready, headers=headers, body=b"" if parts else body, parts=parts)
