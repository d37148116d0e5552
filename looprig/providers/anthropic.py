"""Anthropic Messages: its rules A1 to A32 in its order, and its words for answers and faults.

The texts are those of recorded responses, except where a comment at their place says that they are not; then the
problem is marked as not pinned.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from looprig.messages import Message
from looprig.providers import anthropic_wire, models
from looprig.providers.anthropic_items import ID_PATTERN, ITEMS, Item, Text, bad, explain
from looprig.providers.anthropic_reading import messages_of, spelled, system_of
from looprig.providers.anthropic_rules import Settings, Walk
from looprig.providers.base import Answer, Body, Problem, Received, Refused, Seen, Stream, opened
from looprig.tokens import Counter, estimate, message_tokens

# fmt: off
KEYS = frozenset({
    "billing_policy", "cache_control", "compaction", "container", "context_management", "diagnostics",
    "fallback_credit_token", "fallbacks", "inference_geo", "max_tokens", "mcp_servers", "messages", "metadata",
    "model", "output_config", "output_format", "service_tier", "speed", "stop_sequences", "stream", "system",
    "temperature", "thinking", "thread", "tool_choice", "tools", "top_k", "top_p",
})
# fmt: on
"""What a client may send today: the official client's parameters, those of its beta features too."""

JUDGED_AS = "claude-sonnet-5"
"""The model whose rules hold where messages are judged in the process, and nobody names one."""


class Anthropic:
    """The API at ``/v1/messages``; ``window`` stands in for every model's own."""

    name = "anthropic"

    def __init__(self, window: int | None = None, count: Counter = estimate) -> None:
        self._window = window
        self._count = count

    def receive(self, raw: bytes, seen: Seen, model: str | None = None) -> Received:
        """Read and check a request; see `looprig.providers.base.Provider`."""
        try:
            return self._checked(raw, opened(raw, "messages", seen), seen)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(bad("JSON", f"The request body is not valid JSON: {error}", pinned=False)) from None

    def _checked(self, raw: bytes, request: Body, seen: Seen) -> Received:
        fields = request.fields
        settings = _settings(_model(fields), fields)
        if request.extends and seen.state.settings != settings:
            request = opened(raw, "messages", Seen())  # other rules hold than before: from the start
        walk: Walk = seen.state.onward() if request.extends else Walk(settings)
        items = _items(request, walk.count)
        walk.through(items)
        new = messages_of(items, walk.count)
        walk.count += len(items)
        messages = [*seen.messages, *new] if request.extends else new
        system = system_of(fields.get("system"))
        whole = [*system, *messages] if system else messages
        self._fits(raw, whole, fields)
        seen.open, seen.begins, seen.messages, seen.state = request.open, request.begins, messages, walk.accepted()
        return Received(fields=fields, model=fields["model"], messages=whole, stream=fields.get("stream") is True)

    def _fits(self, raw: bytes, messages: Sequence[Message], fields: Mapping[str, Any]) -> None:
        """Ask whether the prompt fits the window: and on the older models, whether the answer wanted fits too."""
        profile = models.find("anthropic", fields["model"], self._window)
        assert profile is not None
        wanted = fields["max_tokens"] if profile.strict_window else 0
        if len(raw) + wanted <= profile.window:
            return  # a token has a byte at least, and JSON puts more around a message than its overhead
        tokens = sum(message_tokens(message, self._count) for message in messages)
        if tokens > profile.window:
            raise Refused(self.fault("context_overflow", window=profile.window, tokens=tokens))
        if tokens + wanted > profile.window:
            raise Refused(self.fault("context_overflow", window=profile.window, tokens=tokens, max_tokens=wanted))

    def judge(self, messages: Sequence[Message], start: int, seen: Seen) -> Problem | None:
        """Judge *messages* in the process; see `looprig.providers.base.Provider`.

        System messages are put together into the top-level ``system``, as adapters do it.
        """
        walk: Walk
        if start and seen.state is not None and seen.state.count == start:
            walk = seen.state.onward()
        else:
            walk, start = Walk(_settings(models.find("anthropic", JUDGED_AS), {})), 0
        new = [item for item in map(spelled, messages[start:]) if item is not None]
        try:
            _ids(new)
            walk.through(new)
        except Refused as refused:
            return refused.problem
        walk.count = len(messages)
        seen.state = walk.accepted()
        return None

    def answer(self, said: Answer, received: Received) -> bytes:
        """Return the body of a response."""
        return anthropic_wire.body(said, thinks=_thinks(received.fields))

    def stream(self, said: Answer, received: Received) -> Stream:
        """Return the events of a streamed response."""
        return anthropic_wire.stream(said, thinks=_thinks(received.fields))

    def problem(self, problem: Problem, request_id: str) -> bytes:
        """Return the body of an error."""
        return msgspec.json.encode({"type": "error", "error": _error(problem), "request_id": f"req_{request_id}"})

    def broken_off(self, problem: Problem) -> bytes:
        """Return the event of an error that comes after the status 200 was sent."""
        return b"event: error\ndata: " + msgspec.json.encode({"type": "error", "error": _error(problem)}) + b"\n\n"

    def fault(self, kind: str, **figures: Any) -> Problem:
        """Return a fault that is no fault of the request; see `looprig.providers.base.Provider`."""
        if kind not in _FAULTS:
            raise ValueError(f"there is no fault {kind!r}; known are {', '.join(sorted(_FAULTS))}")
        make: Callable[[Mapping[str, Any]], Problem] = _FAULTS[kind]
        return make(figures)

    def headers(self, request_id: str) -> Mapping[str, str]:
        """Return the headers of every response, limits apart."""
        return {"request-id": f"req_{request_id}"}

    def limit_headers(self, limits: Mapping[str, tuple[int, int, float]]) -> Mapping[str, str]:
        """Return the headers that tell limits; ``tokens`` stand for input tokens where these are not given."""
        told = dict(limits)
        if "tokens" in told:
            told.setdefault("input-tokens", told["tokens"])
        now = datetime.now(UTC)
        headers: dict[str, str] = {}
        for name, (limit, remaining, reset_s) in told.items():
            prefix = f"anthropic-ratelimit-{name}"
            reset = now + timedelta(seconds=math.ceil(reset_s))
            headers[f"{prefix}-limit"] = str(limit)
            headers[f"{prefix}-remaining"] = str(remaining if name == "requests" else round(remaining, -3))
            headers[f"{prefix}-reset"] = reset.strftime("%Y-%m-%dT%H:%M:%SZ")
        return headers


# The fields of a request, in the order in which their faults are reported.


def _items(request: Body, first: int) -> list[Item]:
    """Return the items of a request whose fields are as they should be; the first is number *first*."""
    fields = request.fields
    _tool_choice(fields)
    _tools(fields)
    if request.new is None:
        raise Refused(bad("A17", "messages: Field required"))
    if not request.new.startswith(b"["):
        raise Refused(bad("A0", "messages: Input should be a valid list", pinned=False))
    extra: Problem | None = None
    items: list[Item] = []
    try:
        items = ITEMS.decode(request.new)
    except msgspec.ValidationError as error:
        wrong, extra = explain(request.new, first)
        if wrong or not extra:
            raise Refused(wrong or bad("A0", f"messages: {error}", pinned=False)) from None
    _system(fields)
    _max_tokens(fields)
    _known(fields)
    if extra is not None:
        raise Refused(extra)
    return items


def _model(fields: Mapping[str, Any]) -> models.Profile:
    model = fields.get("model")
    if not isinstance(model, str):
        # No response to a request without its model is recorded; the words are those for the other fields.
        words = "Field required" if model is None else "Input should be a valid string"
        raise Refused(bad("A0", f"model: {words}", pinned=False))
    profile = models.find("anthropic", model)
    if profile is None:
        raise Refused(_not_found({"model": model}))
    return profile


def _tool_choice(fields: Mapping[str, Any]) -> None:
    choice = fields.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") != "tool":
        return
    tools = fields.get("tools")
    names = [tool.get("name") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    if choice.get("name") not in names:
        raise Refused(bad("A21", f"Tool '{choice.get('name')}' not found in provided tools"))


def _tools(fields: Mapping[str, Any]) -> None:
    tools = fields.get("tools")
    for number, tool in enumerate(tools if isinstance(tools, list) else ()):
        if not isinstance(tool, dict) or tool.get("type") not in (None, "custom"):
            continue
        name = tool.get("name")
        if not isinstance(name, str):
            raise Refused(bad("A0", f"tools.{number}.custom.name: Field required", pinned=False))
        if not _TOOL_NAME.fullmatch(name):
            raise Refused(bad("A20", f"tools.{number}.custom.name: String should match pattern '^{_NAMES}$'"))


def _system(fields: Mapping[str, Any]) -> None:
    if isinstance(fields.get("system", ""), str):
        return
    try:
        msgspec.convert(fields["system"], list[Text])
    except msgspec.ValidationError as error:
        raise Refused(bad("A0", f"system: {error}", pinned=False)) from None


def _max_tokens(fields: Mapping[str, Any]) -> None:
    limit = fields.get("max_tokens")
    if limit is None:
        raise Refused(bad("A18", "max_tokens: Field required"))
    if type(limit) is not int:
        raise Refused(bad("A0", "max_tokens: Input should be a valid integer", pinned=False))


def _known(fields: Mapping[str, Any]) -> None:
    if not fields.keys() <= KEYS:
        key = next(key for key in fields if key not in KEYS)
        raise Refused(bad("A19", f"{key}: Extra inputs are not permitted"))


def _settings(profile: models.Profile | None, fields: Mapping[str, Any]) -> Settings:
    assert profile is not None
    return Settings(profile.prefill, profile.system_inside, _thinks(fields))


def _thinks(fields: Mapping[str, Any]) -> bool:
    """Say whether thinking is on; models that think as they see fit ("adaptive") ask nothing of the history."""
    thinking = fields.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") == "enabled"


def _ids(items: list[Item]) -> None:
    """Ask of ids in the process what the types ask of a body."""
    for number, item in enumerate(items):
        for place, block in enumerate(item.content if isinstance(item.content, list) else ()):
            for kind, key in (("tool_use", "id"), ("tool_result", "tool_use_id")):
                if not _ID.fullmatch(getattr(block, key, "x")):
                    where = f"messages.{number}.content.{place}.{kind}.{key}"
                    raise Refused(bad("A6", f"{where}: String should match pattern '{ID_PATTERN}'"))


# What is no fault of the request.


def _error(problem: Problem) -> dict[str, Any]:
    error: dict[str, Any] = {"type": problem.type, "message": problem.message}
    if problem.code is not None:
        error["details"] = {"error_code": problem.code}
    return error


def _not_found(figures: Mapping[str, Any]) -> Problem:
    return Problem(rule="A27", status=404, type="not_found_error", message=f"model: {figures.get('model', '')}")


def _rate_limit(figures: Mapping[str, Any]) -> Problem:
    text = (
        f"This request would exceed the rate limit for your organization of {figures.get('limit', 0):,} input tokens "
        "per minute. For details, refer to: https://docs.anthropic.com/en/api/rate-limits. You can see the response "
        "headers for current usage. Please reduce the prompt length or the maximum tokens requested, or try again "
        "later. You may also contact sales at https://www.anthropic.com/contact-sales to discuss your options for a "
        "rate limit increase."
    )
    wait = math.ceil(figures.get("retry_s", 1))
    return Problem(
        rule="A30", status=429, type="rate_limit_error", message=text, headers={"retry-after": str(max(wait, 1))}
    )


def _overflow(figures: Mapping[str, Any]) -> Problem:
    window, tokens, wanted = figures["window"], figures["tokens"], figures.get("max_tokens")
    if wanted is None:
        return bad("A25", f"prompt is too long: {tokens} tokens > {window} maximum")
    text = (
        f"input length and `max_tokens` exceed context limit: {tokens} + {wanted} > {window}, "
        "decrease input length or `max_tokens` and try again"
    )
    return bad("A26", text)


def _plain(rule: str, status: int, kind: str, message: str, code: str | None = None, *, pinned: bool = False) -> Any:
    problem = Problem(rule=rule, status=status, type=kind, message=message, code=code, pinned=pinned)
    return lambda _figures: problem


_NAMES = "[a-zA-Z0-9_-]{1,128}"
_TOOL_NAME = re.compile(_NAMES)
_ID = re.compile(ID_PATTERN.strip("^$"))
_FAULTS = {
    # Of these without `pinned` the status and type are documented, and the text is from memory.
    "bad_request": lambda _figures: bad("fault", "Invalid request.", pinned=False),
    "bad_key": _plain("A28", 401, "authentication_error", "invalid x-api-key"),
    "not_found": _not_found,
    "too_large": _plain("A29", 413, "request_too_large", "Request exceeds the maximum size"),
    "rate_limit": _rate_limit,
    "quota": _plain(
        "A31",
        429,
        "rate_limit_error",
        "You have reached your specified API usage limits.",
        "enforced_spend_limit_reached",
    ),
    "server_error": _plain("fault", 500, "api_error", "Internal server error"),
    "overloaded": _plain("A32", 529, "overloaded_error", "Overloaded", pinned=True),
    "timeout": _plain("fault", 504, "timeout_error", "Request timed out"),
    "context_overflow": _overflow,
}
