"""Responses that are made and wait to be sent, and their headers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from looprig.providers.base import Provider

Header = tuple[bytes, bytes]

_SLOT = b"looprig-id"

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"

_TYPE, _LENGTH = b"content-type", b"content-length"
_OF_JSON, _OF_EVENTS = (_TYPE, JSON), (_TYPE, EVENTS)


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


class Heads:
    """Makes the headers of a provider's responses; what does not depend on the request is made once."""

    def __init__(self, provider: Provider) -> None:
        told = provider.headers(_SLOT.decode())
        headers = [header(name, value) for name, value in told.items() if name.lower() != "content-type"]
        self._fixed = [(name, value) for name, value in headers if _SLOT not in value]
        self._with_id = [(name, value) for name, value in headers if _SLOT in value]

    def sized(self, ident: bytes, size: int, more: Mapping[str, str] | None = None) -> list[Header]:
        """Return the headers of the response *ident*, which is JSON of so many bytes."""
        headers = [*self._fixed, *[(name, value.replace(_SLOT, ident)) for name, value in self._with_id]]
        headers += (_OF_JSON, (_LENGTH, b"%d" % size))
        return _with(headers, more) if more else headers

    def streamed(self, ident: bytes, more: Mapping[str, str] | None = None) -> list[Header]:
        """Return the headers of the response *ident*, which is a stream of events."""
        headers = [*self._fixed, *[(name, value.replace(_SLOT, ident)) for name, value in self._with_id], _OF_EVENTS]
        return _with(headers, more) if more else headers


def _with(headers: list[Header], more: Mapping[str, str]) -> list[Header]:
    return headers + [header(name, value) for name, value in more.items()]


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
    return Ready(status, [(_TYPE, kind), (_LENGTH, b"%d" % len(body))], body)


def key_of(headers: Mapping[bytes, bytes]) -> str:
    """Return the API key of a request, or nothing."""
    found = headers.get(b"authorization") or headers.get(b"x-api-key") or headers.get(b"x-goog-api-key") or b""
    return found.decode("latin-1")
