"""Reading a request's body so that a conversation which only grew costs work for what was added.

A client sends the whole conversation each time, in the same order of keys. So the bytes of a request mostly begin
with all the bytes of the one before, up to its last item: a JSON reader would be in the same state there, and only
what follows has to be read.
"""

from __future__ import annotations

from typing import Any

import msgspec

from looprig.providers.base import Seen


class Bytes:
    """What is remembered of a body: ``start`` ends behind its last item, ``tail`` begins at the closing bracket.

    ``fields`` is all of the body but its items.
    """

    __slots__ = ("fields", "start", "tail")

    def __init__(self, start: bytes, tail: bytes, fields: dict[str, Any]) -> None:
        self.start = start
        self.tail = tail
        self.fields = fields


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A body, read as far as needed.

    ``items`` is the JSON text of the list of items, None where the body has no such list or it is no list. Where
    ``grown`` is true it has only those that follow the items in `Seen`, and where ``same`` is true too, all
    other fields are those of the request before. ``kept`` is to be remembered where the request is accepted.
    """

    fields: dict[str, Any]
    items: bytes | None
    grown: bool = False
    same: bool = False
    kept: Bytes | None = None


def read(raw: bytes, seen: Seen, key: str) -> Body:
    """Read *raw*, whose list of items is called *key*.

    Raises:
        msgspec.DecodeError: where it is no JSON object.
    """
    before: Bytes | None = seen.kept
    if before is not None and raw.startswith(before.start):
        body = _rest(raw, before, key)
        if body is not None:
            return body
    return _whole(raw, key)


def _rest(raw: bytes, before: Bytes, key: str) -> Body | None:
    rest = raw[len(before.start) :]
    if rest == before.tail:
        return Body(fields=before.fields, items=b"[]", grown=True, same=True, kept=before)
    if not rest.startswith(b","):
        return None  # the last item goes on, or there is space before the comma: no client that we know of writes so
    opening = f'{{"{key}":'.encode()
    new = opening + b"[" + rest[1:]
    fields = _OBJECT.decode(new)
    items = bytes(fields[key])
    if not new.startswith(items, len(opening)):
        return None  # the key comes twice, and the last one counts
    tail = new[len(opening) + len(items) - 1 :]
    same = tail == before.tail
    kept_fields = before.fields if same else _after(before, fields, key)
    start = raw[: len(raw) - len(tail)]
    return Body(fields=kept_fields, items=items, grown=True, same=same, kept=Bytes(start, tail, kept_fields))


def _after(before: Bytes, fields: dict[str, msgspec.Raw], key: str) -> dict[str, Any]:
    """Return the fields before the items, which are those of the request before, with the fields after them."""
    gone = _OBJECT.decode(b'{"":0' + before.tail[1:])  # the tail is a bracket, and then commas and fields
    kept = {name: value for name, value in before.fields.items() if name not in gone}
    return kept | {name: _ANY.decode(value) for name, value in fields.items() if name != key}


def _whole(raw: bytes, key: str) -> Body:
    values = _OBJECT.decode(raw)
    found = values.pop(key, None)
    items = None if found is None else bytes(found)
    fields = {name: _ANY.decode(value) for name, value in values.items()}
    if items is None or not items.startswith(b"["):
        if items is not None:
            fields[key] = _ANY.decode(items)
        return Body(fields=fields, items=None)
    return Body(fields=fields, items=items, kept=_cut(raw, items, key, fields))


def _cut(raw: bytes, items: bytes, key: str, fields: dict[str, Any]) -> Bytes | None:
    """Find where the items end in *raw*; None where that cannot be told, and then the next body is read as a whole."""
    at = raw.find(items)
    end = at + len(items)
    if _OBJECT.decode(raw[:at] + b"0" + raw[end:]).get(key) != msgspec.Raw(b"0"):
        return None  # the same text stands elsewhere in the body as well
    close = end - 1
    filled = items[1:-1].strip()
    return Bytes(raw[:close], raw[close:], fields) if filled and raw[close - 1 : close] in _CLOSERS else None


_CLOSERS = (b"}", b'"', b"]")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY = msgspec.json.Decoder(Any)
