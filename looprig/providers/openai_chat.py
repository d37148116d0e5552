"""OpenAI Chat Completions: what it refuses, in the order in which it looks, and in its words.

The order is the measured one: `model` or `messages` absent, an unknown key, the fields one after another with the
messages first, what the model does not support, and at last what the messages are to each other. Three places in it
are inferences: an unknown model counts as absent would; the contents are looked at before the order of calls and
results; a prompt that is too long comes last.

Legal is more than many a check allows: results in any order, several user or assistant messages in a row, a system
message anywhere, an empty content, a list of no parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from looprig.messages import Message, ToolCall, message_from_dict
from looprig.providers import models, openai_chat_wire, openai_common
from looprig.providers.base import Answer, Body, Problem, Received, Refused, Seen, Stream, opened
from looprig.providers.openai_common import UNREADABLE, Field, bad, empty_array, missing, wrong_type, wrong_value
from looprig.tokens import Counter, estimate

FIELDS: tuple[Field, ...] = (
    Field("functions", list),
    Field("tools", list),
    Field("tool_choice", object),
    Field("parallel_tool_calls", bool),
    Field("max_completion_tokens", int, 1),
    Field("max_tokens", int, 1),
    Field("n", int, 1, 128),
    Field("temperature", float, 0, 2),
    Field("top_p", float, 0, 1),
    Field("presence_penalty", float, -2, 2),
    Field("frequency_penalty", float, -2, 2),
    Field("logprobs", bool),
    Field("top_logprobs", int, 0, 20),
    Field("user", str),
    Field("seed", int),
    Field("safety_identifier", str),
    Field("prompt_cache_key", str),
    Field("prompt_cache_retention", str),
    Field("service_tier", str),
    Field("stream", bool),
    Field("store", bool),
    Field("metadata", dict),
    Field("verbosity", str),
    Field("audio", dict),
    Field("function_call", object),
    Field("logit_bias", dict),
    Field("modalities", list),
    Field("moderation", dict),
    Field("prediction", dict),
    Field("prompt_cache_options", dict),
    Field("reasoning_effort", str),
    Field("response_format", dict),
    Field("stop", object),
    Field("stream_options", dict),
    Field("web_search_options", dict),
)
"""All fields beside `model` and `messages`, in the order in which they are looked at; from `audio` on it is ours."""

ORDER: Mapping[str, int] = {field.name: number for number, field in enumerate(FIELDS)}
ROLES = ("system", "assistant", "user", "function", "tool", "developer")
PARTS = ("text", "image_url", "input_audio", "refusal", "audio", "file")
ID_LENGTH = 40
CONTENT = "one of a string or array of objects"

# -- how a request's messages are read -----------------------------------------------------------------------------

_Id = Annotated[str, msgspec.Meta(max_length=ID_LENGTH)]


class _Function(msgspec.Struct, gc=False):
    name: str
    arguments: str


class _Custom(msgspec.Struct, gc=False):
    name: str
    input: str


class _FunctionCall(msgspec.Struct, gc=False, tag_field="type", tag="function"):
    id: _Id
    function: _Function


class _CustomCall(msgspec.Struct, gc=False, tag_field="type", tag="custom"):
    id: _Id
    custom: _Custom


class _Said(msgspec.Struct, gc=False):
    """A message of a request that is spelled right; others do not decode, and are looked at one by one."""

    role: Literal["system", "assistant", "user", "function", "tool", "developer"]
    content: str | list[dict[str, Any]] | msgspec.UnsetType | None = msgspec.UNSET
    tool_calls: Annotated[list[_FunctionCall | _CustomCall], msgspec.Meta(min_length=1)] | None = None
    tool_call_id: _Id | None = None
    name: str | None = None
    function_call: dict[str, Any] | None = None
    refusal: Any = None
    audio: Any = None


_SAID = msgspec.json.Decoder(list[_Said])

_OWN_ROLE: Mapping[str, Any] = {"developer": "system", "function": "tool"}


def _read(said: Sequence[_Said]) -> list[Message]:
    """Return the messages in looprig's words."""
    read: list[Message] = []
    append = read.append
    for one in said:
        role, content, calls = one.role, one.content, one.tool_calls
        if role in _OWN_ROLE or content.__class__ is list:
            append(_read_odd(one))
        elif calls is None:
            append(Message(role, content or "", (), one.tool_call_id, one.name))  # type: ignore[arg-type]
        else:
            append(Message(role, content or "", _calls(calls), one.tool_call_id, one.name))  # type: ignore[arg-type]
    return read


def _read_odd(one: _Said) -> Message:
    """Read a message whose content is a list of parts, or whose role has another name in looprig's words."""
    content = message_from_dict({"role": "user", "content": one.content or ""}).content
    role = _OWN_ROLE.get(one.role, one.role)
    return Message(role, content, _calls(one.tool_calls or ()), one.tool_call_id, one.name)


def _calls(calls: Sequence[_FunctionCall | _CustomCall]) -> tuple[ToolCall, ...]:
    return tuple(
        [
            ToolCall(call.id, call.function.name, call.function.arguments)
            if call.__class__ is _FunctionCall
            else ToolCall(call.id, call.custom.name, call.custom.input)  # type: ignore[union-attr]
            for call in calls
        ]
    )


# -- how a message is spelled: C5, C7, C8, C16 ---------------------------------------------------------------------


def _misspelled(messages: object) -> Problem:
    """Return the first fault of spelling in *messages*, of which there is one."""
    if not isinstance(messages, list):
        return wrong_type("C7", "messages", "an array of objects", messages)
    for index, message in enumerate(messages):
        for problem in _message_problems(f"messages[{index}]", message):
            return problem
    return bad("C7", "Invalid value for 'messages'.", "messages", "invalid_value", pinned=False)


def _message_problems(path: str, message: object) -> Iterator[Problem]:
    if not isinstance(message, dict):
        yield wrong_type("C7", path, "an object", message)
        return
    if "role" not in message:
        yield missing("C8", f"{path}.role", pinned=False)
    elif message["role"] not in ROLES:
        yield wrong_value("C8", f"{path}.role", message["role"], ROLES)
    yield from _content_problems(f"{path}.content", message.get("content"))
    yield from _calls_problems(f"{path}.tool_calls", message.get("tool_calls"))
    yield from _id_problems(f"{path}.tool_call_id", message.get("tool_call_id"))
    for key, kind in (("name", str), ("function_call", dict)):
        if message.get(key) is not None and not isinstance(message[key], kind):
            yield wrong_type("C7", f"{path}.{key}", openai_common.KINDS[kind], message[key])


def _content_problems(path: str, content: object) -> Iterator[Problem]:
    if isinstance(content, list):
        for number, part in enumerate(content):
            if not isinstance(part, dict):
                yield wrong_type("C7", f"{path}[{number}]", "an object", part)
            else:
                yield from _part_problems(f"{path}[{number}]", part)
    elif not isinstance(content, str | None):
        yield wrong_type("C7", path, CONTENT, content, pinned=type(content) is int)


def _part_problems(path: str, part: Mapping[str, Any]) -> Iterator[Problem]:
    kind = part.get("type")
    if kind is None:
        yield missing("C7", f"{path}.type", pinned=False)
    elif kind not in PARTS:
        yield wrong_value("C7", path, kind, PARTS, pinned=False)
    elif kind == "text" and not isinstance(part.get("text"), str):
        if part.get("text") is None:
            yield missing("C7", f"{path}.text", pinned=False)
        else:
            yield wrong_type("C7", f"{path}.text", "a string", part["text"])


def _calls_problems(path: str, calls: object) -> Iterator[Problem]:
    if calls is None:
        return
    if not isinstance(calls, list):
        yield wrong_type("C5", path, "an array of objects", calls)
    elif not calls:
        yield empty_array("C5", path)
    else:
        for number, call in enumerate(calls):
            yield from _call_problems(f"{path}[{number}]", call)


def _call_problems(path: str, call: object) -> Iterator[Problem]:
    """Say what is wrong with one call; no recorded response has these texts but the one about long ids."""
    if not isinstance(call, dict):
        yield wrong_type("C5", path, "an object", call)
        return
    if call.get("id") is None:
        yield missing("C5", f"{path}.id", pinned=False)
    yield from _id_problems(f"{path}.id", call.get("id"))
    kind = call.get("type")
    if kind is None:
        yield missing("C5", f"{path}.type", pinned=False)
    elif kind not in ("function", "custom"):
        yield wrong_value("C5", f"{path}.type", kind, ("function", "custom"), pinned=False)
    else:
        for key in ("name", "arguments" if kind == "function" else "input"):
            yield from _text_problems(f"{path}.{kind}", call.get(kind), key)


def _text_problems(path: str, holder: object, key: str) -> Iterator[Problem]:
    if holder is None:
        yield missing("C5", path, pinned=False)
    elif not isinstance(holder, dict):
        yield wrong_type("C5", path, "an object", holder)
    elif holder.get(key) is None:
        yield missing("C5", f"{path}.{key}", pinned=False)
    elif not isinstance(holder[key], str):
        yield wrong_type("C5", f"{path}.{key}", "a string", holder[key])


def _id_problems(path: str, value: object) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, str):
        yield wrong_type("C16", path, "a string", value)
    elif len(value) > ID_LENGTH:
        yield _too_long(path, value)


def _too_long(path: str, value: str) -> Problem:
    return openai_common.too_long("C16", path, ID_LENGTH, len(value))


# -- the other fields: C12 to C15 ----------------------------------------------------------------------------------


def _field_problem(fields: Mapping[str, Any]) -> Problem | None:
    """Return the first fault of the fields beside the model and the messages, in the order of `FIELDS`."""
    for name in sorted([name for name in fields if name != "model"], key=ORDER.__getitem__):
        value = fields[name]
        problem = openai_common.field_problem("field", FIELDS[ORDER[name]], value)
        if name == "tools" and problem is None:
            problem = next(_tools_problems(value), None)
        elif name == "tool_choice" and value is not None and not fields.get("tools"):
            text = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
            problem = bad("C14", text, "tool_choice")
        if problem is not None:
            return problem
    return None


def _tools_problems(tools: object) -> Iterator[Problem]:
    if not isinstance(tools, list):
        return
    if not tools:
        yield empty_array("C13", "tools")
    for number, tool in enumerate(tools):
        path = f"tools[{number}]"
        if not isinstance(tool, dict):
            yield wrong_type("C13", path, "an object", tool)
        elif tool.get("type") not in ("function", "custom"):
            if tool.get("type") is None:
                yield missing("C13", f"{path}.type", pinned=False)
            else:
                yield wrong_value("C13", f"{path}.type", tool["type"], ("function", "custom"), pinned=False)
        else:
            for problem in _text_problems(f"{path}.{tool['type']}", tool.get(tool["type"]), "name"):
                yield msgspec.structs.replace(problem, rule="C13")


def no_such_model(model: str) -> Problem:
    """Return the refusal of a model that there is not (C17)."""
    return Problem(
        rule="C17",
        status=404,
        type="invalid_request_error",
        message=f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


# -- what the messages are to each other: C6, C1 to C4 -------------------------------------------------------------


def _no_content(said: Sequence[_Said], start: int) -> Problem | None:
    for index, one in enumerate(said, start):
        content = one.content
        if content.__class__ is str:
            continue
        if content is None or content is msgspec.UNSET:
            if one.role == "assistant" and (one.tool_calls or one.function_call or one.refusal or one.audio):
                continue
            return _no_content_of(one, index)
        for problem in _content_problems(f"messages[{index}].content", content):
            return problem
    return None


def _no_content_of(one: _Said, index: int) -> Problem:
    if one.role != "developer":
        return bad("C6", "Invalid value for 'content': expected a string, got null.", f"messages.[{index}].content")
    path = f"messages[{index}].content"
    if one.content is msgspec.UNSET:
        return missing("C6", path, pinned=False)
    return wrong_type("C6", path, CONTENT, None)


_OPEN = -1
"""Stands, where the index of a result will be, for a call without one."""


def _disorder(said: Sequence[Any], start: int, asked: Mapping[str, int]) -> tuple[Problem | None, dict[str, int]]:
    """Follow calls and results through *said*, which begins at message *start*.

    *asked* are the calls of the last assistant message before, if nothing but results has come since, each with the
    index of its result. The same for the end is returned, with what is wrong.
    """
    state, missing_results, index = dict(asked), 0, start
    for index, one in enumerate(said, start):
        if one.role == "tool":
            answered = state.get(one.tool_call_id)
            if answered != _OPEN:
                return _stray(one.tool_call_id, index, answered, bool(state)), state
            state[one.tool_call_id] = index
            missing_results -= 1
        elif missing_results:
            return _unanswered(state, index), state
        elif one.tool_calls:
            state = {call.id: _OPEN for call in one.tool_calls}
            missing_results = len(state)
        elif state:
            state = {}
    return (_unanswered(state, index) if missing_results else None), state


def _stray(call_id: str | None, index: int, answered: int | None, asked: bool) -> Problem:
    """Return why the result at *index* cannot stand there."""
    path = f"messages.[{index}]"
    if not asked:
        text = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
        return bad("C1", f"Invalid parameter: {text}", f"{path}.role")
    if call_id is None:
        text = "Missing parameter 'tool_call_id': messages with role 'tool' must have a 'tool_call_id'."
        return bad("C3", text, f"{path}.tool_call_id", pinned=False)
    if answered is None:
        text = f"Invalid parameter: 'tool_call_id' of '{call_id}' not found in 'tool_calls' of previous message."
        return bad("C3", text, f"{path}.tool_call_id")
    where = f"in messages[{answered}] and messages[{index}]."
    return bad(
        "C4", f"Invalid parameter: Duplicate value for 'tool_call_id' of '{call_id}', {where}", f"{path}.tool_call_id"
    )


def _unanswered(asked: Mapping[str, int], index: int) -> Problem:
    """Return that calls have no results; whether the index is this one or that of the calls is not pinned."""
    names = ", ".join(call_id for call_id, answered in asked.items() if answered == _OPEN)
    text = (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {names}"
    )
    return bad("C2", text, f"messages.[{index}].role", pinned=False)


def _long_id(messages: Sequence[Message], start: int) -> Problem | None:
    for index, message in enumerate(messages, start):
        if message.tool_calls:
            for number, call in enumerate(message.tool_calls):
                if len(call.id) > ID_LENGTH:
                    return _too_long(f"messages[{index}].tool_calls[{number}].id", call.id)
        elif message.tool_call_id is not None and len(message.tool_call_id) > ID_LENGTH:
            return _too_long(f"messages[{index}].tool_call_id", message.tool_call_id)
    return None


class OpenAIChat:
    """The API at ``/v1/chat/completions``; ``window`` stands in for every model's own."""

    name = "openai-chat"

    def __init__(self, window: int | None = None, count: Counter = estimate) -> None:
        self._window, self._count = window, count

    def receive(self, raw: bytes, seen: Seen, model: str | None = None) -> Received:
        try:
            body = opened(raw, "messages", seen)
            return self._checked(raw, body, seen)
        except UNREADABLE:
            raise Refused(openai_common.unparsable()) from None

    def _checked(self, raw: bytes, body: Body, seen: Seen) -> Received:
        fields = body.fields
        name = _needed(fields, body.new)
        profile = models.find("openai", name, self._window)
        if profile is None:
            raise Refused(no_such_model(name))
        said = _spelled(body)
        _refuse(_field_problem(fields))
        if profile.reasoning and fields.get("max_tokens") is not None:
            raise Refused(_unsupported_limit())
        start = len(seen.messages) if body.extends else 0
        _refuse(_no_content(said, start))
        problem, asked = _disorder(said, start, seen.state if body.extends else {})
        _refuse(problem)
        messages = [*seen.messages, *_read(said)] if body.extends else _read(said)
        self._fits(raw, messages, fields, profile.window)
        seen.open, seen.begins, seen.messages, seen.state = body.open, body.begins, messages, asked
        return Received(fields=fields, model=name, messages=messages, stream=fields.get("stream") is True)

    def _fits(self, raw: bytes, messages: Sequence[Message], fields: Mapping[str, Any], window: int) -> None:
        tokens = openai_common.tokens_beyond(raw, messages, window, self._count)
        if tokens:
            tools = fields.get("tools")
            raise Refused(_overflow(window, tokens, self._count(_json(tools)) if tools else 0))

    def judge(self, messages: Sequence[Message], start: int, seen: Seen) -> Problem | None:
        if not messages:
            return empty_array("C9", "messages")
        new = messages[start:] if start else messages
        problem = _long_id(new, start)
        if problem is None:
            problem, asked = _disorder(new, start, seen.state if start else {})
            if problem is None:
                seen.state = asked
        return problem

    def answer(self, said: Answer, received: Received) -> bytes:
        return openai_chat_wire.answer(said, reasoning=_reasons(received.model))

    def stream(self, said: Answer, received: Received) -> Stream:
        options = received.fields.get("stream_options") or {}
        return openai_chat_wire.stream(
            said,
            reasoning=_reasons(received.model),
            usage=bool(options.get("include_usage")),
            obfuscated=options.get("include_obfuscation") is not False,
        )

    def problem(self, problem: Problem, request_id: str) -> bytes:
        return openai_common.encoded(openai_common.envelope(problem))

    def broken_off(self, problem: Problem) -> bytes:
        return b"data: %b\n\n" % openai_common.encoded(openai_common.envelope(problem))

    def fault(self, kind: str, **figures: Any) -> Problem:
        if kind == "context_overflow":
            return _overflow(figures["window"], figures["tokens"], figures.get("functions", 0))
        return openai_common.fault(kind, **figures)

    def headers(self, request_id: str) -> Mapping[str, str]:
        return openai_common.headers(request_id)

    def limit_headers(self, limits: Mapping[str, tuple[int, int, float]]) -> Mapping[str, str]:
        return openai_common.limit_headers(limits)


def _needed(fields: dict[str, Any], messages: bytes | None) -> str:
    """Return the model of a request that has all that it needs, and nothing unknown: C9 to C12."""
    name = fields.get("model")
    if name is None or name == "":
        raise Refused(bad("C11", "you must provide a model parameter"))
    if not isinstance(name, str):
        raise Refused(wrong_type("C11", "model", "a string", name))
    if messages is None:
        raise Refused(missing("C10", "messages"))
    for key in fields:
        if key not in ORDER and key != "model":
            raise Refused(openai_common.unknown_parameter("C12", key, [*ORDER, "model", "messages"]))
    return name


def _spelled(body: Body) -> list[_Said]:
    """Return the new messages of a request, or refuse one that is misspelled: C5, C7, C8, C9, C16."""
    assert body.new is not None
    try:
        said = _SAID.decode(body.new)
    except msgspec.ValidationError:
        raise Refused(_misspelled(openai_common.decoded(body.new))) from None
    if not said and not body.extends:
        raise Refused(empty_array("C9", "messages"))
    return said


def _refuse(problem: Problem | None) -> None:
    if problem is not None:
        raise Refused(problem)


def _unsupported_limit() -> Problem:
    text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    return bad("C15", text, "max_tokens", "unsupported_parameter")


def _overflow(window: int, tokens: int, functions: int) -> Problem:
    """Return that a prompt is too long (C18): *tokens* in the messages, and *functions* in the tools."""
    if functions:
        what = f"{tokens + functions} tokens ({tokens} in the messages, {functions} in the functions)"
        reduce = "messages or functions"
    else:
        what, reduce = f"{tokens} tokens", "messages"
    text = (
        f"This model's maximum context length is {window} tokens. However, your messages resulted in {what}. "
        f"Please reduce the length of the {reduce}."
    )
    return bad("C18", text, "messages", "context_length_exceeded")


def _reasons(model: str) -> bool:
    profile = models.find("openai", model)
    return profile is not None and profile.reasoning


def _json(value: object) -> str:
    return openai_common.encoded(value).decode()
