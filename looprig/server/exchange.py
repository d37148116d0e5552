"""One request to a model and its answer: rules, limits, the script's reply, faults, usage, and when it is due."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from looprig.messages import Message
from looprig.providers.base import Answer, Problem, Provider, Received, Refused, Seen, Stream, Usage
from looprig.server.faults import (
    REPLY_FAULTS,
    STATUS_FAULTS,
    FaultPlan,
    broken_stream,
    problem_of,
    spoiled,
    with_late_id,
)
from looprig.server.heads import Heads
from looprig.server.journal import Journal
from looprig.server.limits import Limits, OverLimit
from looprig.server.sessions import Conversation, Sessions, Step
from looprig.server.settings import Settings
from looprig.server.usage import CACHED_FROM
from looprig.serving.pacing import TOKEN_CHARS, cut
from looprig.serving.ready import Ready, key_of
from looprig.tokens import counter, message_tokens

CREATED_FROM = 1_750_000_000
"""When the first answer of a session says that it was made; each further one a second later."""

KEYS_MAX = 10_000
"""API keys whose rate limits are kept apart."""


class Saying(msgspec.Struct, kw_only=True):
    """What is said to a request; ``broken`` names the fault that befalls it on its way, ``late`` is about call ids."""

    received: Received
    step: Step
    message: Message
    pieces: tuple[tuple[str, ...], ...]
    stop: str
    usage: Usage
    broken: str | None
    late: bool = False


class Exchange:
    """Turns requests into responses that wait to be sent."""

    def __init__(
        self, settings: Settings, providers: Mapping[str, Provider], sessions: Sessions, journal: Journal
    ) -> None:
        self._settings = settings
        self._providers = providers
        self._sessions = sessions
        self._journal = journal
        self._count = counter(settings.tokens)
        self._heads = {name: Heads(provider) for name, provider in providers.items()}
        self._limits: dict[str, Limits] = {}
        self._limited = settings.requests_per_minute is not None or settings.tokens_per_minute is not None
        self._waits = settings.pace.any or settings.delays

    def reply(
        self,
        name: str,
        raw: bytes,
        headers: Mapping[bytes, bytes],
        model: str | None = None,
        stream: bool | None = None,
    ) -> Ready:
        """Answer a request to provider *name*; ``model`` and ``stream`` are what its path says."""
        provider, sessions = self._providers[name], self._sessions
        limits = self._limits_of(headers) if self._limited else None
        over = limits.take("requests", 1, time.monotonic()) if limits is not None else None
        if over is not None:
            return self._over(provider, over, limits)
        conversation = sessions.of(name, raw, headers)
        seen = conversation.seen if conversation is not None else Seen()
        try:
            received = provider.receive(raw, seen, model)
        except Refused as refused:
            conversation = conversation or sessions.newest(name, headers, key_of(headers))
            return self._refused(provider, conversation, refused.problem, raw)
        if conversation is None:
            conversation = sessions.of_first(name, _newest_text(received.messages), headers, key_of(headers))
            conversation.seen = seen
        sessions.used(conversation, len(raw), len(received.messages))
        if stream is not None and received.stream is not stream:
            received = msgspec.structs.replace(received, stream=stream)
        return self._checked(provider, conversation, received, limits)

    def _checked(
        self, provider: Provider, conversation: Conversation, received: Received, limits: Limits | None
    ) -> Ready:
        """Answer a request that breaks no rule, unless it comes too early."""
        cached_from = CACHED_FROM.get(provider.name, 1024)
        tokens, cached = conversation.prompt.count(received.messages, self._count, cached_from)
        over = limits.take("tokens", tokens, time.monotonic()) if limits is not None else None
        if over is not None:
            return self._over(provider, over, limits)
        step = conversation.step(received)
        if step.stopped:
            return self._stopped(provider, conversation, step.stopped)
        fault = self._fault(conversation, step) if self._settings.faults or step.faults else None
        if fault is not None and fault.kind in STATUS_FAULTS:
            conversation.said(step, None, fault.kind)
            return self.failed(provider, problem_of(provider, fault), _ident(conversation), limits)
        saying = self._saying(received, step, fault, tokens, cached)
        lost = saying.broken or ("length" if saying.stop == "length" else None)
        conversation.said(step, None if saying.broken else saying.message, lost)
        return self._given(provider, conversation, saying, limits)

    # -- errors ------------------------------------------------------------------------------------

    def failed(self, provider: Provider, problem: Problem, ident: str, limits: Limits | None = None) -> Ready:
        """Return *problem* as a response."""
        body = provider.problem(problem, f"req_{ident}")
        told = provider.limit_headers(limits.told()) if limits is not None else {}
        headers = self._heads[provider.name].sized(b"req_" + ident.encode(), len(body), {**told, **problem.headers})
        return Ready(problem.status, headers, body)

    def _refused(self, provider: Provider, conversation: Conversation, problem: Problem, raw: bytes) -> Ready:
        conversation.refused(problem.rule)
        self._journal.refuse(conversation, problem, raw)
        return self.failed(provider, problem, _ident(conversation))

    def _over(self, provider: Provider, over: OverLimit, limits: Limits | None) -> Ready:
        self._journal.faults["rate_limit"] += 1
        problem = provider.fault(
            "rate_limit",
            of=over.kind,
            limit=over.limit,
            used=over.used,
            requested=over.requested,
            retry_s=over.retry_s,
        )
        return self.failed(provider, problem, f"l{self._journal.faults['rate_limit']}", limits)

    def _limits_of(self, headers: Mapping[bytes, bytes]) -> Limits:
        key = key_of(headers)
        found = self._limits.get(key)
        if found is None:
            if len(self._limits) >= KEYS_MAX:
                self._limits.clear()
            settings = self._settings
            found = Limits(settings.requests_per_minute, settings.tokens_per_minute, time.monotonic())
            self._limits[key] = found
        return found

    def _stopped(self, provider: Provider, conversation: Conversation, why: str) -> Ready:
        if not conversation.stop(why):
            self._journal.stopped(conversation, why)
        problem = msgspec.structs.replace(
            provider.fault("bad_request"),
            rule="LR152",
            message=f"looprig stops this turn (LR152): {why}. See `looprig explain LR152`.",
        )
        return self.failed(provider, problem, _ident(conversation))

    # -- the script's reply ------------------------------------------------------------------------

    def _saying(self, received: Received, step: Step, fault: FaultPlan | None, tokens: int, cached: int) -> Saying:
        """Return what is said to a request, with what a fault does to it."""
        message, kind = step.message, None
        if fault is not None:
            kind = fault.kind
            message = spoiled(kind, message) if kind in REPLY_FAULTS else message
        completion, limit = message_tokens(message, self._count), _limit(received.fields)
        stop = "tool_calls" if message.tool_calls else "stop"
        if limit is not None and completion > limit:
            message = Message(role="assistant", content=message.content[: limit * TOKEN_CHARS])
            completion, stop = limit, "length"
        return Saying(
            received=received,
            step=step,
            message=message,
            pieces=_pieces(message, step) if received.stream else (),
            stop=stop,
            usage=Usage(prompt=tokens, cached=cached, completion=completion),
            broken=None if kind in REPLY_FAULTS else kind,
            late=kind == "late_id",
        )

    def _given(self, provider: Provider, conversation: Conversation, saying: Saying, limits: Limits | None) -> Ready:
        """Return what is said as a response."""
        self._journal.tallies[provider.name].spent(saying.usage)
        answer = Answer(
            id=_ident(conversation),
            created=CREATED_FROM + conversation.requests,
            model=saying.received.model,
            message=saying.message,
            pieces=saying.pieces,
            stop=saying.stop,
            usage=saying.usage,
        )
        more = provider.limit_headers(limits.told()) if limits is not None else None
        if saying.received.stream:
            return self._streamed(provider, answer, saying, more)
        return self._at_once(provider, answer, saying, more)

    def _fault(self, conversation: Conversation, step: Step) -> FaultPlan | None:
        """Return the fault that meets a request: the scenario's own first."""
        planned = next((each for each in step.faults if each.round == step.round and step.attempt < each.times), None)
        if planned is not None and planned.kind == "timeout" and self._settings.delays:
            return None  # it is a delay then, and no error
        if planned is not None:
            self._journal.faults[planned.kind] += 1
            return FaultPlan(planned.kind, retry_s=0.01 if planned.kind == "rate_limit" else None)
        place = f"{conversation.number}/{conversation.turn}/{step.round}/{step.attempt}"
        met = [plan for plan in self._settings.faults if plan.meets(self._settings.seed, place)]
        if not met:
            return None
        self._journal.faults[met[0].kind] += 1
        return met[0]

    # -- on its way --------------------------------------------------------------------------------

    def _dues(self, answer: Answer, step: Step, count: int) -> list[float]:
        usage = answer.usage
        dues = self._settings.pace.dues(answer.id, count, usage.prompt - usage.cached, self._journal.open)
        delay_s = step.delay_s if self._settings.delays else 0.0
        return [due + delay_s for due in dues] if delay_s else dues

    def _at_once(
        self,
        provider: Provider,
        answer: Answer,
        saying: Saying,
        more: Mapping[str, str] | None,
    ) -> Ready:
        broken, body = saying.broken, provider.answer(answer, saying.received)
        half = len(body) // 2
        if broken == "error_event":
            return self.failed(provider, provider.fault("server_error"), answer.id)
        if broken == "corrupt":
            body = body.replace(b"{", b"{{", 1)
        elif broken in ("cut", "truncate"):
            body = body[:half]
        headers = self._heads[provider.name].sized(b"req_" + answer.id.encode(), len(body), more)
        due = self._dues(answer, saying.step, max(1, answer.usage.completion))[-1] if self._waits else 0.0
        if broken in ("drop", "stall"):
            parts = [(due, body[:half])]
            return Ready(200, headers, parts=parts, whole=False, stalls=broken == "stall")
        return Ready(200, headers, parts=[(due, body)]) if due else Ready(200, headers, body)

    def _streamed(
        self,
        provider: Provider,
        answer: Answer,
        saying: Saying,
        more: Mapping[str, str] | None,
    ) -> Ready:
        broken, stream = saying.broken, provider.stream(answer, saying.received)
        if broken:
            error = provider.broken_off(provider.fault("overloaded")) if broken == "error_event" else b""
            stream = broken_stream(broken, stream, error)
        if saying.late:
            stream = with_late_id(stream)
        headers = self._heads[provider.name].streamed(b"req_" + answer.id.encode(), more)
        whole = broken not in ("drop", "stall")
        if not self._waits and whole:
            return Ready(200, headers, stream.whole())
        parts = self._parts(stream, answer, saying.step)
        return Ready(200, headers, parts=parts, whole=whole, stalls=broken == "stall")

    def _parts(self, stream: Stream, answer: Answer, step: Step) -> list[tuple[float, bytes]]:
        if not stream.deltas:
            return [(self._dues(answer, step, 1)[0], stream.head + stream.tail)]
        parts = list(zip(self._dues(answer, step, len(stream.deltas)), stream.deltas, strict=True))
        parts[0] = (parts[0][0], stream.head + parts[0][1])
        parts[-1] = (parts[-1][0], parts[-1][1] + stream.tail)
        return parts


def _ident(conversation: Conversation) -> str:
    """Return the id of a session's newest answer: the same in every run, whatever other sessions do."""
    return f"s{conversation.number}n{conversation.requests}"


def _newest_text(messages: Sequence[Message]) -> str:
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def _limit(fields: Mapping[str, Any]) -> int | None:
    """Return how many tokens the answer may have, in whichever provider's spelling."""
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        limit = fields.get(name)
        if limit is not None:
            return int(limit)
    config = fields.get("generationConfig")
    limit = config.get("maxOutputTokens") if config.__class__ is dict else None
    return int(limit) if isinstance(limit, int) else None


def _pieces(message: Message, step: Step) -> tuple[tuple[str, ...], ...]:
    """Cut the text of a reply and the arguments of its calls; the marker of the session goes with the first piece."""
    said, chunks = message.content, step.chunks
    begins = said.find("] ") + 2 if said.startswith("[#s") else 0
    begins = begins if begins > 1 else 0
    texts = (said[begins:], *[call.arguments for call in message.tool_calls])
    cut = [_split(text, TOKEN_CHARS if chunks == 1 else max(1, -(-len(text) // chunks))) for text in texts]
    if begins:
        first = cut[0] or ("",)
        cut[0] = (said[:begins] + first[0], *first[1:])
    return tuple(cut)


@lru_cache(maxsize=512)
def _split(text: str, size: int) -> tuple[str, ...]:
    return tuple(cut(text, size))
