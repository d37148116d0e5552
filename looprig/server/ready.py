"""Responses that are made and wait to be sent, and their headers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from looprig.providers.base import Provider

_SLOT = "looprig-id"

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"


class Ready(msgspec.Struct):
    """A response: its ``body`` at once, or ``parts``, each with the seconds from the request at which it is due.

    ``head`` holds the header lines. Of one that is not ``whole`` nothing follows its parts: the connection is
    closed, after it was held open for long where it ``stalls``. ``opened`` is told when it begins (1) and ends (-1)
    to be given in parts.
    """

    status: int
    head: bytes
    body: bytes = b""
    chunked: bool = False
    parts: Sequence[tuple[float, bytes]] = ()
    whole: bool = True
    stalls: bool = False
    opened: Callable[[int], None] | None = None


class Heads:
    """Makes the headers of a provider's responses; what does not depend on the request is made once."""

    def __init__(self, provider: Provider) -> None:
        told = {name: value for name, value in provider.headers(_SLOT).items() if name.lower() != "content-type"}
        lines = b"".join(header_line(name, value) for name, value in told.items()).replace(b"%", b"%%")
        self._lines = lines.replace(_SLOT.encode(), b"%(id)b") + b"content-type: %(kind)b\r\n"
        self._sized = self._lines + b"content-length: %(size)d\r\n"
        self._chunked = self._lines + b"transfer-encoding: chunked\r\n"

    def of(self, ident: str, kind: bytes, size: int | None, more: Mapping[str, str] | None = None) -> bytes:
        """Return the header lines of the response *ident*; without a size it is sent in chunks."""
        made = {b"id": ident.encode(), b"kind": kind, b"size": size}
        lines = (self._chunked if size is None else self._sized) % made
        return lines + b"".join([header_line(name, value) for name, value in more.items()]) if more else lines


def header_line(name: str, value: str) -> bytes:
    """Return a header as it stands in a response."""
    return f"{name}: {value}\r\n".encode("latin-1", "replace")


def as_json(value: Any, status: int = 200) -> Ready:
    """Return *value* as a response of the server's own."""
    try:
        body = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can tell
        body = json.dumps(value).encode("ascii")
    return as_body(body, JSON, status)


def as_body(body: bytes, kind: bytes, status: int = 200) -> Ready:
    """Return *body* as a response of the server's own."""
    return Ready(status, b"content-type: %b\r\ncontent-length: %d\r\n" % (kind, len(body)), body)


def key_of(headers: Mapping[bytes, bytes]) -> str:
    """Return the API key of a request, or nothing."""
    found = headers.get(b"authorization") or headers.get(b"x-api-key") or headers.get(b"x-goog-api-key") or b""
    return found.decode("latin-1")
