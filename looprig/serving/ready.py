"""Responses that are made and wait to be sent, and their headers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Header = tuple[bytes, bytes]

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"

TYPE, LENGTH = b"content-type", b"content-length"


class Ready(msgspec.Struct):
    """A response: its ``body`` at once, or ``parts``, each with the seconds from the request at which it is due.

    Of one that is not ``whole`` nothing follows its parts: the connection is closed, after it was held open for long
    where it ``stalls``.
    """

    status: int
    headers: list[Header]
    body: bytes = b""
    parts: Sequence[tuple[float, bytes]] = ()
    whole: bool = True
    stalls: bool = False


def header(name: str, value: str) -> Header:
    """Return a header as it stands in a response."""
    return name.lower().encode("latin-1"), value.encode("latin-1", "replace")


def as_json(value: Any, status: int = 200) -> Ready:
    """Return *value* as a response of the server's own."""
    try:
        body = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can tell
        body = json.dumps(value).encode("ascii")
    return as_body(body, JSON, status)


def as_body(body: bytes, kind: bytes, status: int = 200) -> Ready:
    """Return *body* as a response of the server's own."""
    return Ready(status, [(TYPE, kind), (LENGTH, b"%d" % len(body))], body)


def key_of(headers: Mapping[bytes, bytes]) -> str:
    """Return the API key of a request, or nothing."""
    found = headers.get(b"authorization") or headers.get(b"x-api-key") or headers.get(b"x-goog-api-key") or b""
    return found.decode("latin-1")
