"""The headers of a provider's responses."""

from __future__ import annotations

from collections.abc import Mapping

from looprig.providers.base import Provider
from looprig.serving.ready import EVENTS, JSON, LENGTH, TYPE, Header, header

_SLOT = b"looprig-id"

_OF_JSON, _OF_EVENTS = (TYPE, JSON), (TYPE, EVENTS)


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
        headers += (_OF_JSON, (LENGTH, b"%d" % size))
        return _with(headers, more) if more else headers

    def streamed(self, ident: bytes, more: Mapping[str, str] | None = None) -> list[Header]:
        """Return the headers of the response *ident*, which is a stream of events."""
        headers = [*self._fixed, *[(name, value.replace(_SLOT, ident)) for name, value in self._with_id], _OF_EVENTS]
        return _with(headers, more) if more else headers


def _with(headers: list[Header], more: Mapping[str, str]) -> list[Header]:
    return headers + [header(name, value) for name, value in more.items()]
