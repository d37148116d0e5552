"""What goes over the wire of a turn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message, ToolCall
from looprig.service.events import Ended, Events, event
from looprig.serving.pacing import cut
from tests.service.client import events_of

TEXTS = st.text(st.characters(blacklist_categories=[]))
"""Any characters, halves of a surrogate pair among them."""

END: dict[str, Any] = dict.fromkeys(Ended.__struct_fields__, 0)


def read(raw: bytes) -> list[tuple[str, Any]]:
    return events_of(raw.decode())


@given(st.lists(TEXTS))
def test_texts(pieces: list[str]):
    """
    Whatever the pieces hold, line ends and half characters too, each comes as one event with just that text.
    """
    found = read(Events().texts(pieces))

    assert [("text", {"delta": piece}) for piece in pieces] == found


@given(TEXTS, TEXTS, TEXTS)
def test_calls_and_errors(name: str, arguments: str, text: str):
    """
    Calls, results, ends and errors are events too, whatever texts are in them.
    """
    wire, calls = Events(), (ToolCall("a", name, arguments), ToolCall("b", name, "{}"))
    ended = Ended(**{**END, "session": name, "answer": text, "violations": ["LR121"]})

    told = [
        *read(wire.asked(Message("assistant", tool_calls=calls))),
        *read(wire.ran("a", name, 0.25, True)),
        *read(wire.failed("ValueError", text)),
        *read(wire.ended(ended)),
    ]

    assert [
        ("tool_call", {"id": "a", "name": name, "arguments": arguments}),
        ("tool_call", {"id": "b", "name": name, "arguments": "{}"}),
        ("tool_result", {"id": "a", "name": name, "duration_s": 0.25, "failed": True}),
        ("error", {"type": "ValueError", "message": text}),
        ("end", {**END, "session": name, "answer": text, "violations": ["LR121"]}),
    ] == told


@given(st.text(), st.integers(1, 9))
def test_cut(text: str, size: int):
    """
    Pieces are the text, in order, and none is longer than asked for or empty.
    """
    pieces = cut(text, size)

    assert text == "".join(pieces)
    assert all(1 <= len(piece) <= size for piece in pieces)


@pytest.mark.parametrize("value", [{"delta": "a\nb\r\n\r\nevent: end"}, {"delta": "\u2028\u2029"}])
def test_one_line(value: dict[str, str]):
    """
    The data of an event is one line, whatever line ends the text has: a text cannot make up an event.
    """
    lines = event("text", value).decode().split("\n")

    assert ["event: text", "", ""] == [lines[0], *lines[2:]]
    assert value == json.loads(lines[1].removeprefix("data: "))
