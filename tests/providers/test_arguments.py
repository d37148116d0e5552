"""Arguments as objects: what is no object comes back as it was."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.providers.arguments import MALFORMED, object_of, text_of

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)


@pytest.mark.parametrize("arguments", ["", "{", "[1]", '"a"', "null", '{"a": 1,}', "\ud800"])
def test_malformed(arguments: str):
    """
    Arguments that are no object stand in one under a key of their own, and come back as they were.
    """
    assert {MALFORMED: arguments} == object_of(arguments)
    if arguments.isprintable():
        assert arguments == text_of(msgspec.json.encode(object_of(arguments)))


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES, max_size=3))
def test_objects(values: dict[str, Any]):
    """
    Arguments as the scripted model writes them come back to the letter.
    """
    text = json.dumps(values)

    assert text == text_of(text.encode())
    assert text == text_of(msgspec.json.encode(object_of(text)))
    assert text == text_of(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize("raw", [b"", b"[1]", b"null", b"{", b'{"a": 1'])
def test_no_object(raw: bytes):
    """
    What is no object is an error.
    """
    with pytest.raises(msgspec.DecodeError):
        text_of(raw)
