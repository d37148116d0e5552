"""Messages survive the way to a chat-completions dict and back, and what is no message is refused in words."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import ROLES, Message, ToolCall, message_from_dict

# Surrogates too: a loop that cuts an emoji in two sends them.
TEXT = st.text(st.characters(codec=None), max_size=20)

CALLS = st.builds(ToolCall, id=TEXT, name=TEXT, arguments=TEXT)

MESSAGES = st.builds(
    Message,
    role=st.sampled_from(ROLES),
    content=TEXT,
    tool_calls=st.lists(CALLS, max_size=3).map(tuple),
    tool_call_id=st.none() | TEXT,
    name=st.none() | TEXT,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)

KEYS = ("role", "content", "tool_calls", "tool_call_id", "name")


@given(MESSAGES)
def test_round_trip(message: Message):
    """
    A message that is written as a dict and read back is the same message.
    """
    assert message == message_from_dict(message.to_dict())


@given(MESSAGES, st.dictionaries(TEXT.filter(lambda key: key not in KEYS), JSON, max_size=3))
def test_extra_keys(message: Message, extra: dict[str, Any]):
    """
    Keys that the format does not know (refusal, audio, a framework's own) change nothing.
    """
    assert message == message_from_dict({**extra, **message.to_dict(), **extra})


@given(st.lists(TEXT, max_size=4))
def test_parts(texts: list[str]):
    """
    A content in parts is its texts, joined, whether the parts are dicts or bare texts.
    """
    parts = [{"type": "text", "text": text} if number % 2 else text for number, text in enumerate(texts)]

    assert "".join(texts) == message_from_dict({"role": "user", "content": parts}).content


def test_parts_that_are_no_text():
    """
    An image leaves its kind behind, so that a message with it is another message than one without.
    """
    parts = [{"type": "text", "text": "see "}, {"type": "image_url", "image_url": {"url": "data:"}}, {"text": "?"}]

    assert "see <image_url>?" == message_from_dict({"role": "user", "content": parts}).content


@pytest.mark.parametrize("entry", [{}, {"content": None}, {"content": ""}, {"content": []}, {"tool_calls": None}])
def test_nothing_said(entry: dict[str, Any]):
    """
    No content, null and the empty text are the same: providers send all three with tool calls.
    """
    assert Message(role="assistant") == message_from_dict({"role": "assistant", **entry})


def test_developer():
    """
    OpenAI's newer word for a system message is read as one.
    """
    assert Message(role="system", content="be kind") == message_from_dict({"role": "developer", "content": "be kind"})


def test_dict():
    """
    The dict is what a provider expects: keys without value are left out, content is always there.
    """
    call = ToolCall(id="call_1", name="search", arguments='{"query": "x"}')

    assert {"role": "user", "content": "hi"} == Message(role="user", content="hi").to_dict()
    assert {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": '{"query": "x"}'}}
        ],
    } == Message(role="assistant", tool_calls=(call,)).to_dict()
    assert {"role": "tool", "content": "found", "tool_call_id": "call_1", "name": "search"} == Message(
        role="tool", content="found", tool_call_id="call_1", name="search"
    ).to_dict()


def test_call_without_details():
    """
    A call without id or arguments, as local model servers send it, is one with empty ones.
    """
    for function in ({"name": "now"}, {"name": "now", "arguments": None}):
        for call in ({"function": function}, {"id": None, "function": function}):
            read = message_from_dict({"role": "assistant", "tool_calls": [call]})
            assert (ToolCall(id="", name="now", arguments="{}"),) == read.tool_calls


CALL = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": "{}"}}


def function(**changes: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": [{**CALL, "function": {**CALL["function"], **changes}}]}  # type: ignore[dict-item]


BAD = [
    ({}, "a message's role is one of system, user, assistant, tool; this one is None"),
    ({"role": "human"}, "a message's role is one of system, user, assistant, tool; this one is 'human'"),
    ({"role": ["user"]}, "a message's role is one of system, user, assistant, tool; this one is ['user']"),
    ({"role": "user", "content": 42}, "a message's content is text or a list of parts, not int"),
    ({"role": "user", "content": {"text": "hi"}}, "a message's content is text or a list of parts, not dict"),
    ({"role": "user", "content": b"hi"}, "a message's content is text or a list of parts, not bytes"),
    ({"role": "user", "content": [42]}, "a content part has a text or a type; this one is 42"),
    ({"role": "user", "content": [{"text": None}]}, "a content part has a text or a type; this one is {'text': None}"),
    ({"role": "user", "name": 5}, "a message's name is text; this one is 5"),
    ({"role": "tool", "tool_call_id": 7}, "a message's tool_call_id is text; this one is 7"),
    ({"role": "assistant", "tool_calls": 3}, "a message's tool_calls are a list, not int"),
    ({"role": "assistant", "tool_calls": CALL}, "a message's tool_calls are a list, not dict"),
    ({"role": "assistant", "tool_calls": "search"}, "a message's tool_calls are a list, not str"),
    (
        {"role": "assistant", "tool_calls": ["search"]},
        "a tool call has an id and a function with name and arguments; this one is 'search'",
    ),
    (
        {"role": "assistant", "tool_calls": [{"name": "search"}]},
        "a tool call has an id and a function with name and arguments; this one is {'name': 'search'}",
    ),
    ({"role": "assistant", "tool_calls": [{**CALL, "id": 1}]}, "a tool call's id is text; this one is 1"),
    (function(name=None), "a tool call's name is text; this one is None"),
    (function(arguments={"q": 1}), "a tool call's arguments are JSON text; this one has a dict"),
]


@pytest.mark.parametrize(("entry", "message"), BAD)
def test_refused(entry: dict[str, Any], message: str):
    """
    What a provider would refuse is refused, with what is wrong in it.
    """
    with pytest.raises(ValueError, match=r"message|part|call") as caught:
        message_from_dict(entry)

    assert message == str(caught.value)


@given(st.fixed_dictionaries({}, optional={"role": st.sampled_from(ROLES), **dict.fromkeys(KEYS[1:], JSON)}))
def test_anything(entry: dict[str, Any]):
    """
    Any dict is read as a message whose fields have their types, or refused with a ValueError.
    """
    try:
        message = message_from_dict(entry)
    except ValueError:
        return
    assert message == msgspec.convert(msgspec.to_builtins(message), Message)


def test_a_long_part():
    """
    A refusal does not print a megabyte.
    """
    with pytest.raises(ValueError, match="a content part") as caught:
        message_from_dict({"role": "user", "content": [{"data": "x" * 1_000_000}]})

    assert len(str(caught.value)) < 200


class Text(str):
    """A framework's own text."""

    __slots__ = ()

    def __str__(self) -> str:
        return "<Text>"


class Speaker(StrEnum):
    """A framework's own roles."""

    USER = "user"


def test_texts_of_a_framework():
    """
    A subclass of str, or an enum of roles, becomes the plain text that it is.
    """
    call = {"id": Text("c"), "function": {"name": Text("n"), "arguments": Text("{}")}}
    entry = {
        "role": Speaker.USER,
        "content": Text("hi"),
        "tool_calls": [call],
        "tool_call_id": Text("c"),
        "name": Text("n"),
    }
    expected = Message(role="user", content="hi", tool_calls=(ToolCall("c", "n"),), tool_call_id="c", name="n")

    for content in (Text("hi"), [Text("hi")], [{"text": Text("hi")}]):
        message = message_from_dict({**entry, "content": content})
        assert expected == message
        assert msgspec.json.encode(expected) == msgspec.json.encode(message)


def test_frozen():
    """
    Nothing that was recorded can change under the reader's hands.
    """
    message = Message(role="user", content="hi")

    with pytest.raises(AttributeError):
        message.content = "ho"  # type: ignore[misc]
    assert {message: 1}[Message(role="user", content="hi")] == 1
