"""OpenAI Responses: what it refuses, in the order in which it looks, and in its words.

The order is the measured one: the model, the input absent, an unknown key, the items and the fields, the state that
`previous_response_id` names, the input empty. Two places in it are inferences: what the items are to each other
comes behind all of these, and a prompt that is too long last.

What an answer said is in a `Store`, unless the request says ``store: false``. Conversations and prompts that are kept
with OpenAI are not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from looprig.messages import Message
from looprig.providers import models, openai_common, openai_items, openai_responses_wire
from looprig.providers.base import Answer, Body, Problem, Received, Refused, Seen, Stream, opened
from looprig.providers.openai_common import UNREADABLE, Field, bad, missing, wrong_type
from looprig.providers.openai_items import Item, Known
from looprig.providers.openai_store import Link, Store, chain
from looprig.tokens import Counter, estimate, message_tokens

FIELDS: tuple[Field, ...] = (
    Field("access_programs", dict),
    Field("background", bool),
    Field("background_options", dict),
    Field("context_management", list),
    Field("conversation", object),
    Field("image", dict),
    Field("include", list),
    Field("instructions", str),
    Field("tools", list),
    Field("tool_choice", object),
    Field("parallel_tool_calls", bool),
    Field("max_output_tokens", int, 16),
    Field("max_tool_calls", int, 1),
    Field("temperature", float, 0, 2),
    Field("top_p", float, 0, 1),
    Field("top_logprobs", int, 0, 20),
    Field("metadata", dict),
    Field("moderation", dict),
    Field("previous_response_id", str),
    Field("prompt", dict),
    Field("prompt_cache_key", str),
    Field("prompt_cache_options", dict),
    Field("prompt_cache_retention", str),
    Field("reasoning", dict),
    Field("safety_identifier", str),
    Field("service_tier", str),
    Field("store", bool),
    Field("stream", bool),
    Field("stream_options", dict),
    Field("text", dict),
    Field("truncation", str),
    Field("user", str),
)
"""All fields beside `model` and `input`, in the order in which they are looked at, which is ours."""

ORDER: Mapping[str, int] = {field.name: number for number, field in enumerate(FIELDS)}

MOVED: Mapping[str, str] = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
}
"""Parameters of Chat Completions that have another name here; of the answers the one about `messages` is recorded."""


class OpenAIResponses:
    """The API at ``/v1/responses``.

    A server makes one with a `Store` of its own; without one no response can be gone on from. ``window`` stands in
    for every model's own.
    """

    name = "openai-responses"

    def __init__(self, store: Store | None = None, window: int | None = None, count: Counter = estimate) -> None:
        self._store, self._window, self._count = store, window, count

    def receive(self, raw: bytes, seen: Seen, model: str | None = None) -> Received:
        try:
            body = opened(raw, "input", seen)
            if body.extends and body.fields.get("previous_response_id") is not None:
                body = opened(raw, "input", Seen())
            return self._checked(raw, body, seen)
        except UNREADABLE:
            raise Refused(openai_common.unparsable()) from None

    def _checked(self, raw: bytes, body: Body, seen: Seen) -> Received:
        fields = body.fields
        profile = models.find("openai", _model_of(fields), self._window)
        if profile is None:
            raise Refused(no_such_model(fields["model"]))
        _refuse_keys(fields, body.new)
        known, before = seen.state if body.extends else (Known(), None)
        messages = [*seen.messages] if body.extends else []
        start = known.count
        items = self._items(body, start)
        openai_items.read(items, start, messages)
        _refuse_fields(fields)
        said_before: list[Message] = []
        if not body.extends:
            before = self._before(fields)
            if before is None and not items:
                raise Refused(_empty())
            said_before, known = chain(before)
        added = openai_items.follow(items, known)
        whole = self._whole(raw, fields, [*said_before, *messages] if said_before else messages, profile.window)
        known.add(added)
        link = _link(before, messages, seen.messages if body.extends else [], added, known)
        if fields.get("previous_response_id") is None:
            seen.open, seen.begins, seen.messages, seen.state = body.open, body.begins, messages, (known, link)
        stream = fields.get("stream") is True
        return Received(fields=fields, model=fields["model"], messages=whole, stream=stream, context=link)

    def _items(self, body: Body, start: int) -> list[Item]:
        """Return the new items of a request; a text is one message of the user."""
        assert body.new is not None
        if not body.new.startswith(b"["):
            text = openai_common.decoded(body.new)
            if not isinstance(text, str):
                raise Refused(wrong_type("R8", "input", "one of a string or array of input items", text))
            return [Item(type="message", role="user", content=text)] if text else []
        items = openai_items.spelled(body.new, start)
        for number, item in enumerate(items):
            if item.type == "item_reference" or (item.type is None and item.role is None and item.id is not None):
                items[number] = self._referred(item)
        return items

    def _referred(self, item: Item) -> Item:
        found = self._store.item(item.id or "") if self._store is not None else None
        if found is None:
            raise Refused(_not_found("R6", f"Item with id '{item.id}' not found.", "input"))
        return found

    def _before(self, fields: Mapping[str, Any]) -> Link | None:
        """Return the response that a request goes on from (R6)."""
        for kind in ("conversation", "prompt"):
            kept = fields.get(kind)
            if kept is not None:
                name = kept.get("id") if isinstance(kept, dict) else kept
                raise Refused(_not_found("R6", f"{kind.title()} with id '{name}' not found.", kind))
        name = fields.get("previous_response_id")
        if name is None:
            return None
        link = self._store.get(name) if self._store is not None else None
        if link is None:
            text = f"Previous response with id '{name}' not found."
            raise Refused(bad("R6", text, "previous_response_id", "previous_response_not_found"))
        return link

    def _whole(self, raw: bytes, fields: Mapping[str, Any], messages: list[Message], window: int) -> list[Message]:
        """Return the conversation as the model gets it, which has to fit its window (R14)."""
        instructions = fields.get("instructions")
        whole = [Message("system", instructions), *messages] if instructions else messages
        if len(raw) <= window and fields.get("previous_response_id") is None:
            return whole  # A token has a byte at least.
        tokens = [message_tokens(message, self._count) for message in whole]
        too_many = sum(tokens) - window
        if too_many <= 0:
            return whole
        if fields.get("truncation") != "auto":
            raise Refused(_overflow())
        return _truncated(whole, tokens, too_many, 1 if instructions else 0)

    def judge(self, messages: Sequence[Message], start: int, seen: Seen) -> Problem | None:
        if not messages:
            return _empty()
        known = seen.state if start else Known()
        problem, added = openai_items.follow_messages(messages[start:], known)
        if problem is None:
            known.add(added)
            seen.state = known
        return problem

    def answer(self, said: Answer, received: Received) -> bytes:
        wire = openai_responses_wire.Wire(said, received, reasoning=_reasons(received.model))
        self._remember(wire, received)
        return wire.answer()

    def stream(self, said: Answer, received: Received) -> Stream:
        wire = openai_responses_wire.Wire(said, received, reasoning=_reasons(received.model))
        self._remember(wire, received)
        return wire.stream()

    def _remember(self, wire: openai_responses_wire.Wire, received: Received) -> None:
        """Put an answer into the store, behind the request that it is an answer to."""
        if self._store is None or received.fields.get("store") is False:
            return
        message = wire.said.message
        calls = [call.id for call in message.tool_calls]
        added = Known({item["id"] for item in wire.output}, set(calls), tuple(calls))
        items = {item["id"]: msgspec.convert(item, Item) for item in wire.output}
        self._store.put(wire.id, Link(received.context, [message], added), items)

    def problem(self, problem: Problem, request_id: str) -> bytes:
        return openai_common.encoded(openai_common.envelope(problem))

    def broken_off(self, problem: Problem) -> bytes:
        return openai_responses_wire.broken_off(problem)

    def fault(self, kind: str, **figures: Any) -> Problem:
        return _overflow() if kind == "context_overflow" else openai_common.fault(kind, **figures)

    def headers(self, request_id: str) -> Mapping[str, str]:
        return openai_common.headers(request_id)

    def limit_headers(self, limits: Mapping[str, tuple[int, int, float]]) -> Mapping[str, str]:
        return openai_common.limit_headers(limits)


def _link(before: Link | None, messages: list[Message], old: list[Message], added: Known, known: Known) -> Link:
    """Return what a request added to the one before, or all of it where a call has joined an old message."""
    if old and messages[len(old) - 1] is not old[-1]:
        return Link(None, messages, Known({*known.ids}, {*known.calls}))
    return Link(before, messages[len(old) :], added)


def _model_of(fields: Mapping[str, Any]) -> str:
    name = fields.get("model")
    if name is None:
        raise Refused(missing("R7", "model", pinned=False))
    if not isinstance(name, str):
        raise Refused(wrong_type("R7", "model", "a string", name))
    return name


def no_such_model(model: str) -> Problem:
    """Return the refusal of a model that there is not (R7)."""
    return bad("R7", f"The requested model '{model}' does not exist.", "model", "model_not_found")


def _refuse_keys(fields: Mapping[str, Any], items: bytes | None) -> None:
    """Refuse a request that lacks its input, or has a key that there is not (R8, R10)."""
    for key in fields:
        if key in MOVED:
            raise Refused(_moved(key))
    if items is None or items == b"null":
        raise Refused(missing("R8", "input"))
    for key in fields:
        if key not in ORDER and key != "model":
            raise Refused(openai_common.unknown_parameter("unknown", key, [*ORDER, "model", "input"]))


def _moved(key: str) -> Problem:
    text = (
        f"Unsupported parameter: '{key}'. In the Responses API, this parameter has moved to '{MOVED[key]}'. Try again "
        "with the new parameter. See the API documentation for more information: "
        "https://platform.openai.com/docs/api-reference/responses/create."
    )
    return bad("R10", text, None, "unsupported_parameter", pinned=key == "messages")


def _refuse_fields(fields: Mapping[str, Any]) -> None:
    for name in sorted([name for name in fields if name != "model"], key=ORDER.__getitem__):
        rule = "R13" if name == "temperature" else "field"
        problem = openai_common.field_problem(rule, FIELDS[ORDER[name]], fields[name], pinned=rule == "R13")
        if name == "tools" and problem is None:
            problem = next(_tool_problems(fields["tools"]), None)
        if problem is not None:
            raise Refused(problem)


def _tool_problems(tools: list[Any] | None) -> Iterator[Problem]:
    for number, tool in enumerate(tools or ()):
        path = f"tools[{number}]"
        if not isinstance(tool, dict):
            yield wrong_type("field", path, "an object", tool)
        elif tool.get("type") is None:
            yield missing("field", f"{path}.type", pinned=False)
        elif tool["type"] == "function" and tool.get("name") is None:
            yield missing("field", f"{path}.name", pinned=False)


def _not_found(rule: str, text: str, param: str) -> Problem:
    """Return that something kept is not there; no recorded response has these texts."""
    return Problem(rule=rule, status=404, type="invalid_request_error", message=text, param=param, pinned=False)


def _empty() -> Problem:
    text = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided."
    return bad("R9", text, None, "missing_required_parameter")


def _overflow() -> Problem:
    text = "Your input exceeds the context window of this model. Please adjust your input and try again."
    return bad("R14", text, "input", "context_length_exceeded")


def _truncated(messages: list[Message], tokens: Sequence[int], too_many: int, start: int) -> list[Message]:
    """Drop messages from *start* on until the rest fits, and results whose calls went with them."""
    end = start
    while too_many > 0 and end < len(messages) - 1:
        too_many -= tokens[end]
        end += 1
    while end < len(messages) - 1 and messages[end].role == "tool":
        end += 1
    return [*messages[:start], *messages[end:]]


def _reasons(model: str) -> bool:
    profile = models.find("openai", model)
    return profile is not None and profile.reasoning
