"""Responses that are made and wait to be sent, and their headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from looprig.providers.base import Provider

Header = tuple[bytes, bytes]

_SLOT = "looprig-id"

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"


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
        told = {name: value for name, value in provider.headers(_SLOT).items() if name.lower() != "content-type"}
        self._fixed = [encoded(name, value) for name, value in told.items() if _SLOT not in value]
        self._with_id = [encoded(name, value) for name, value in told.items() if _SLOT in value]

    def of(self, ident: str, kind: bytes, size: int | None) -> list[Header]:
        """Return the headers of the response *ident*; without a size it is sent in chunks."""
        headers = [*self._fixed, (b"content-type", kind)]
        for name, value in self._with_id:
            headers.append((name, value.replace(_SLOT.encode(), ident.encode())))
        if size is not None:
            headers.append((b"content-length", b"%d" % size))
        return headers


def encoded(name: str, value: str) -> Header:
    """Return a header as ASGI has it."""
    return name.lower().encode("latin-1"), value.encode("latin-1", "replace")


def as_json(value: Any, status: int = 200) -> Ready:
    """Return *value* as a response of the server's own."""
    body = msgspec.json.encode(value)
    return Ready(status, [(b"content-type", JSON), (b"content-length", b"%d" % len(body))], body)


def as_text(text: str, kind: bytes) -> Ready:
    """Return *text* as a response of the server's own."""
    body = text.encode()
    return Ready(200, [(b"content-type", kind), (b"content-length", b"%d" % len(body))], body)


def hints_of(headers: Sequence[Header]) -> tuple[Mapping[str, str], str]:
    """Return what a request's headers say to looprig (session, scenario), and its API key."""
    hints: dict[str, str] = {}
    key = ""
    for name, value in headers:
        if name in _KEYS:
            key = key or value.decode("latin-1")
        elif name.startswith(b"x-looprig-"):
            hints[name[10:].decode("latin-1")] = value.decode("latin-1")
    return hints, key


_KEYS = (b"authorization", b"x-api-key", b"x-goog-api-key")
