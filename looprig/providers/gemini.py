"""Gemini's generateContent: its rules, and its words for answers and faults.

The rules are numbered G1 to G8: the place of calls and of responses, their number, a signature that is missing, the
end, a name that is empty, nothing at all, the window. Other refusals are G0. The texts are those of recorded
responses, except where the problem is marked as not pinned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from looprig.messages import Message
from looprig.providers import gemini_wire, models
from looprig.providers.base import Answer, Body, Problem, Received, Refused, Seen, Stream, opened
from looprig.providers.gemini_items import Content, explain, invalid, read
from looprig.providers.gemini_reading import Reader, spelled, system_of
from looprig.providers.gemini_rules import Walk
from looprig.tokens import Counter, estimate, message_tokens

# fmt: off
KEYS = frozenset({
    "cachedContent", "contents", "generationConfig", "labels", "model", "safetySettings", "serviceTier", "store",
    "systemInstruction", "toolConfig", "tools",
})
# fmt: on
"""What a body may have; each may be spelled with underscores too."""


class Gemini:
    """The API at ``/v1beta/models/MODEL:generateContent``; ``window`` stands in for every model's own."""

    name = "gemini"

    def __init__(self, window: int | None = None, count: Counter = estimate) -> None:
        self._window, self._count = window, count

    def receive(self, raw: bytes, seen: Seen, model: str | None = None) -> Received:
        """Read and check a request; see `looprig.providers.base.Provider`. Whether it streams is said by its path."""
        try:
            return self._checked(raw, opened(raw, "contents", seen), seen, model)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(invalid("JSON", f"Invalid JSON payload received. {error}", pinned=False)) from None

    def _checked(self, raw: bytes, request: Body, seen: Seen, model: str | None) -> Received:
        fields = request.fields
        profile = _profile(model or fields.get("model"))
        before: Walk = seen.state if request.extends else Walk()
        contents = _contents(request, before.number)
        walk = before.onward()
        walk.through(contents)
        walk.end(signatures=profile.signatures)
        new = Reader(before.number, before.open).messages_of(contents)
        messages = [*seen.messages, *new] if request.extends else new
        system = system_of(fields.get("systemInstruction", fields.get("system_instruction")))
        whole = [*system, *messages] if system else messages
        self._fits(raw, whole, self._window or profile.window)
        seen.open, seen.begins, seen.messages, seen.state = request.open, request.begins, messages, walk.accepted()
        name = str(model or fields["model"]).removeprefix("models/")
        return Received(fields=fields, model=name, messages=whole, stream=False)

    def _fits(self, raw: bytes, messages: Sequence[Message], window: int) -> None:
        if len(raw) <= window:
            return  # a token has a byte at least, and JSON puts more around a message than its overhead
        tokens = sum(message_tokens(message, self._count) for message in messages)
        if tokens > window:
            raise Refused(self.fault("context_overflow", window=window, tokens=tokens))

    def judge(self, messages: Sequence[Message], start: int, seen: Seen) -> Problem | None:
        """Judge *messages* in the process; see `looprig.providers.base.Provider`.

        The results of a round are put into one content, and system messages apart, as adapters do it. Signatures
        are not asked for: looprig's messages have none.
        """
        if start and seen.state is not None and seen.state.count == start:
            walk: Walk = seen.state.onward()
        else:
            walk, start = Walk(), 0
        contents = spelled(messages[start:])
        if not contents and not walk.number:
            return _unspecified()
        try:
            walk.through(contents)
            walk.end(signatures=False)
        except Refused as refused:
            return refused.problem
        walk.count, seen.state = len(messages), walk.accepted()
        return None

    def answer(self, said: Answer, received: Received) -> bytes:
        """Return the body of a response."""
        return gemini_wire.body(said, signed=_signed(received))

    def stream(self, said: Answer, received: Received) -> Stream:
        """Return the events of a streamed response (``alt=sse``)."""
        return gemini_wire.stream(said, signed=_signed(received))

    def problem(self, problem: Problem, request_id: str) -> bytes:
        """Return the body of an error; Gemini's names no request."""
        return msgspec.json.encode(_error(problem))

    def broken_off(self, problem: Problem) -> bytes:
        """Return the event of an error that comes after the status 200 was sent; its form is not recorded."""
        return b"data: " + msgspec.json.encode(_error(problem)) + b"\r\n\r\n"

    def fault(self, kind: str, **figures: Any) -> Problem:
        """Return a fault that is no fault of the request; see `looprig.providers.base.Provider`."""
        if kind not in _FAULTS:
            raise ValueError(f"there is no fault {kind!r}; known are {', '.join(sorted(_FAULTS))}")
        make: Callable[[Mapping[str, Any]], Problem] = _FAULTS[kind]
        return make(figures)

    def headers(self, request_id: str) -> Mapping[str, str]:
        """Return the headers of every response: none of Gemini's tells about a request what a client would need."""
        return {}

    def limit_headers(self, limits: Mapping[str, tuple[int, int, float]]) -> Mapping[str, str]:
        """Return the headers that tell limits: Gemini has none."""
        return {}


def _signed(received: Received) -> bool:
    profile = models.find("gemini", received.model)
    return profile is not None and profile.signatures


# The fields of a request.


def _profile(model: Any) -> models.Profile:
    profile = models.find("gemini", model) if isinstance(model, str) else None
    if profile is None:
        raise Refused(_not_found({"model": model}))
    return profile


def _contents(request: Body, first: int) -> list[Content]:
    """Return the contents of a request whose fields are as they should be; the first is number *first*."""
    for key in request.fields:
        if key not in KEYS and _camel(key) not in KEYS:
            text = f'Invalid JSON payload received. Unknown name "{key}": Cannot find field.'
            raise Refused(invalid("G0", text, pinned=False))  # from memory
    if request.new is None or request.new == b"null":
        raise Refused(_unspecified())
    try:
        contents = read(request.new)
    except msgspec.ValidationError as error:
        raise Refused(explain(error, first)) from None
    if not contents and not first:
        raise Refused(_unspecified())
    return contents


def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _unspecified() -> Problem:
    return invalid("G7", "* GenerateContentRequest.contents: contents is not specified")


# What is no fault of the request.


def _error(problem: Problem) -> dict[str, Any]:
    return {"error": {"code": problem.status, "message": problem.message, "status": problem.type}}


def _not_found(figures: Mapping[str, Any]) -> Problem:
    model = str(figures.get("model", "")).removeprefix("models/")
    text = (
        f"models/{model} is not found for API version v1beta, or is not supported for generateContent. "
        "Call ListModels to see the list of available models and their supported methods."
    )
    return Problem(rule="G0", status=404, type="NOT_FOUND", message=text, pinned=False)


def _overflow(figures: Mapping[str, Any]) -> Problem:
    tokens, window = figures["tokens"], figures["window"]
    text = f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({window})."
    return invalid("G8", text)


def _plain(status: int, kind: str, message: str) -> Any:
    problem = Problem(rule="fault", status=status, type=kind, message=message, pinned=False)
    return lambda _figures: problem


_QUOTA = "You exceeded your current quota, please check your plan and billing details."

_FAULTS = {
    # Statuses are documented, the texts are from memory.
    "bad_request": _plain(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "bad_key": _plain(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "not_found": _not_found,
    "rate_limit": _plain(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "quota": _plain(429, "RESOURCE_EXHAUSTED", _QUOTA),
    "server_error": _plain(500, "INTERNAL", "An internal error has occurred."),
    "overloaded": _plain(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "timeout": _plain(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    "too_large": _plain(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
    "context_overflow": _overflow,
}
