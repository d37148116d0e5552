"""What a client reads of a turn: server-sent events of the service's own, each made when it happens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from looprig.messages import Message, ToolCall

PING = b": ping\n\n"

_encode = msgspec.json.Encoder().encode


def encoded(value: Any) -> bytes:
    """Return *value* as JSON; a lone surrogate, which UTF-8 does not know, as JSON's escape."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode("ascii")


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a turn ended well: the data of its ``end`` event. Times are seconds.

    ``rounds`` counts the model's replies that asked for tools, ``requests`` all that were made of it, failed ones
    too. ``history_messages`` and ``history_chars`` are what the loop remembers after the turn. ``trim_pause_s`` is None
    for a loop that does not tell of its trims. ``tool_s`` is the time in which at least one tool ran. ``output_tokens``
    are the pieces that the model's replies come in, calls included, ``input_tokens`` an estimate over all requests.
    ``violations`` are the codes of the invariants that the turn broke.
    """

    session: str
    turn: int
    answer: str
    rounds: int
    requests: int
    history_messages: int
    history_chars: int
    trim_pause_s: float | None
    tool_s: float
    input_tokens: int
    output_tokens: int
    violations: list[str]


class Wire(Protocol):
    """How what happens in a turn is put into bytes; nothing where it is not told."""

    def texts(self, pieces: Sequence[str]) -> bytes:
        """Pieces of the answer, which are due together."""
        ...

    def asked(self, message: Message) -> bytes:
        """The model asks for tools."""
        ...

    def ran(self, call_id: str, name: str, seconds: float, failed: bool) -> bytes:
        """A tool has run."""
        ...

    def ended(self, ended: Ended) -> bytes:
        """The turn is over, with an answer."""
        ...

    def failed(self, kind: str, text: str) -> bytes:
        """The turn is over without one."""
        ...


def event(name: str, data: Any) -> bytes:
    """Return one server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encoded(data))


class Events:
    """The events that `POST /v1/sessions/{id}/turns` is answered with."""

    def texts(self, pieces: Sequence[str]) -> bytes:
        """One ``text`` event for each piece."""
        try:
            return b"".join([b'event: text\ndata: {"delta":%b}\n\n' % _encode(piece) for piece in pieces])
        except UnicodeEncodeError:
            return b"".join([b'event: text\ndata: {"delta":%b}\n\n' % encoded(piece) for piece in pieces])

    def asked(self, message: Message) -> bytes:
        """One ``tool_call`` event for each call."""
        return b"".join([event("tool_call", _told(call)) for call in message.tool_calls])

    def ran(self, call_id: str, name: str, seconds: float, failed: bool) -> bytes:
        """A ``tool_result`` event."""
        return event("tool_result", {"id": call_id, "name": name, "duration_s": round(seconds, 6), "failed": failed})

    def ended(self, ended: Ended) -> bytes:
        """The ``end`` event, without which a stream is broken."""
        return event("end", ended)

    def failed(self, kind: str, text: str) -> bytes:
        """An ``error`` event, which ends a stream too."""
        return event("error", {"type": kind, "message": text})


def _told(call: ToolCall) -> dict[str, str]:
    return {"id": call.id, "name": call.name, "arguments": call.arguments}
