"""A body that has grown is read as a body that is read for the first time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.providers.base import Seen, opened

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["items", "a", '"items":[']), inner, max_size=3)
    ),
    max_leaves=8,
)


def body(before: dict[str, Any], items: list[Any], after: dict[str, Any], indent: int) -> bytes:
    return msgspec.json.format(msgspec.json.encode({**before, "items": items, **after}), indent=indent)


@given(st.data())
def test_grown_body(data: st.DataObject):
    """
    Whatever stands before and behind the list, and however it is spelled: the old items and the new are the whole.
    """
    before = data.draw(st.dictionaries(st.sampled_from(["model", "x"]), VALUES, max_size=2))
    old = data.draw(st.lists(VALUES, max_size=4))
    new = old + data.draw(st.lists(VALUES, max_size=3))
    after = [data.draw(st.dictionaries(st.sampled_from(["y", "z"]), VALUES, max_size=2)) for _ in range(2)]
    indent = data.draw(st.sampled_from([-1, 0, 2]))
    seen = Seen()
    first = opened(body(before, old, after[0], indent), "items", seen)
    seen.open, seen.begins = first.open, first.begins

    second = opened(body(before, new, after[1], indent), "items", seen)

    assert second.new is not None
    added = msgspec.json.decode(second.new)
    assert new == (old + added if second.extends else added)
    assert {**before, **after[1]} == second.fields
    assert (second.open, second.begins) == _from_scratch(body(before, new, after[1], indent))


def _from_scratch(raw: bytes) -> tuple[bytes | memoryview, int]:
    fresh = opened(raw, "items", Seen())
    return fresh.open, fresh.begins


def test_only_what_is_new_is_decoded():
    """
    A list that goes on is cut where it went on; a changed item, or a shorter list, is read as a whole.
    """
    seen = Seen()
    first = opened(b'{"m":1,"items":[1,2],"s":true}', "items", seen)
    seen.open, seen.begins = first.open, first.begins

    assert (b"[3]", True) == _new(b'{"m":1,"items":[1,2,3],"s":false}', seen)
    assert (b"[]", True) == _new(b'{"m":1,"items":[1,2]}', seen)
    assert (b"[1,3]", False) == _new(b'{"m":1,"items":[1,3]}', seen)
    assert (b"[1]", False) == _new(b'{"m":1,"items":[1]}', seen)
    assert (b"[1,2,3]", False) == _new(b'{"m":2,"items":[1,2,3]}', seen)


def _new(raw: bytes, seen: Seen) -> tuple[bytes | None, bool]:
    body = opened(raw, "items", seen)
    return body.new, body.extends


def test_list_of_the_same_name_elsewhere():
    """
    Another list of the same name, even with the same items, is not taken for the list.
    """
    seen = Seen()
    first = opened(b'{"x":{"items":[1]},"items":[1]}', "items", seen)
    seen.open, seen.begins = first.open, first.begins

    second = opened(b'{"x":{"items":[1,2]},"items":[1]}', "items", seen)

    assert (b"[1]", {"x": {"items": [1, 2]}}) == (second.new, second.fields)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"items":[1,}', b'{"items":[1]', b"nothing"])
def test_no_json_object(raw: bytes):
    """
    What is no JSON object raises, whether something was seen before or not.
    """
    seen = Seen()
    seen.open, seen.begins = b'{"items":[1', 9

    for memory in (Seen(), seen):
        with pytest.raises(msgspec.DecodeError):
            opened(raw, "items", memory)
