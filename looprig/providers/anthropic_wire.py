"""How Anthropic says an answer: as one body, and as a stream of events."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from looprig.messages import ToolCall
from looprig.providers.anthropic_rules import signature
from looprig.providers.arguments import object_of
from looprig.providers.base import Answer, Stream, Usage

STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}


def body(said: Answer, *, thinks: bool) -> bytes:
    """Return the whole of *said* as a body; *thinks* says whether the request asked for thinking."""
    content = [_thinking(said)] if thinks else []
    if said.message.content:
        content.append({"type": "text", "text": said.message.content})
    content += [_tool_use(call, object_of(call.arguments)) for call in said.message.tool_calls]
    return _encode({**_message(said, _usage(said.usage)), "content": content, "stop_reason": STOPS[said.stop]})


def stream(said: Answer, *, thinks: bool) -> Stream:
    """Return *said* as events, a delta for each of its pieces."""
    pad = _Padding(zlib.crc32(said.id.encode()))
    head = [_start(said, pad)]
    index = 0
    if thinks:
        head += _thinking_events(said, pad)
        index = 1
    deltas: list[bytes] = []
    before = b"".join(head)  # what goes out with the next delta
    text, *arguments = said.pieces
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    if said.message.content:
        before += pad.event("content_block_start", index, b'"content_block":{"type":"text","text":""}') + ping
        _add(deltas, before, pad.deltas(index, b"text_delta", b"text", text))
        before, ping = pad.event("content_block_stop", index), b""
        index += 1
    for call, pieces in zip(said.message.tool_calls, arguments, strict=True):
        block = _encode(_tool_use(call, {}))
        before += pad.event("content_block_start", index, b'"content_block":' + block) + ping
        before += pad.deltas(index, b"input_json_delta", b"partial_json", [""])[0]
        _add(deltas, before, pad.deltas(index, b"input_json_delta", b"partial_json", pieces))
        before, ping = pad.event("content_block_stop", index), b""
        index += 1
    if not deltas:
        return Stream(head=before, deltas=(), tail=_end(said, pad))
    opening = b"".join(head)
    return Stream(head=opening, deltas=[deltas[0][len(opening) :], *deltas[1:]], tail=before + _end(said, pad))


def _add(deltas: list[bytes], before: bytes, more: Sequence[bytes]) -> None:
    """Add *more* with *before* in front, which goes out with the first of them."""
    if more:
        deltas.append(before + more[0])
        deltas.extend(more[1:])
    elif deltas:
        deltas[-1] += before
    else:
        deltas.append(before)


class _Padding:
    """Events with spaces before the last brace, as many as the answer's number says, so that sizes tell nothing."""

    def __init__(self, number: int) -> None:
        self.number = number

    def event(self, name: str, index: int | None, rest: bytes = b"") -> bytes:
        """Return the event *name* of block *index*, or of the whole message, with *rest* of its JSON."""
        place = b"" if index is None else b',"index":%d' % index
        comma = b"," if rest else b""
        self.number += 7
        end = _ENDS[self.number % len(_ENDS)]
        return b'event: %b\ndata: {"type":"%b"%b%b%b%b' % (name.encode(), name.encode(), place, comma, rest, end)

    def deltas(self, index: int, kind: bytes, key: bytes, pieces: Sequence[str]) -> list[bytes]:
        """Return an event for each of *pieces*; all but the piece is made once."""
        start = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
        start %= (index, kind, key)
        turn = self.number % len(_ENDS)
        self.number += 7 * len(pieces)
        ends = _DELTA_ENDS[turn:] + _DELTA_ENDS[:turn]
        size = len(ends)
        return [start + _encode(piece) + ends[number % size] for number, piece in enumerate(pieces)]


_ENDS = tuple(b" " * (number * 5 % 16) + b"}\n\n" for number in range(16))
_DELTA_ENDS = tuple(b"}" + end for end in _ENDS)


def _start(said: Answer, pad: _Padding) -> bytes:
    first = min(max(said.usage.completion, 1), 1 + pad.number % 8)  # a few tokens are there when the stream begins
    usage = {**_usage(said.usage), "output_tokens": first}
    return pad.event("message_start", None, b'"message":' + _encode(_message(said, usage)))


def _end(said: Answer, pad: _Padding) -> bytes:
    delta = {"stop_reason": STOPS[said.stop], "stop_sequence": None}
    usage = _usage(said.usage)
    counts = {key: usage[key] for key in _CUMULATIVE}
    rest = b'"delta":' + _encode(delta) + b',"usage":' + _encode(counts)
    return pad.event("message_delta", None, rest) + pad.event("message_stop", None)


_CUMULATIVE = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


def _message(said: Answer, usage: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": said.model,
        "id": f"msg_{said.id}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    """Return the tokens in Anthropic's terms: ``input_tokens`` are those that no cache had."""
    return {
        "input_tokens": usage.prompt - usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.completion,
        "service_tier": "standard",
    }


def _tool_use(call: ToolCall, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": values}


def _thinking(said: Answer) -> dict[str, Any]:
    text = f"What {said.id} comes to."
    return {"type": "thinking", "thinking": text, "signature": signature(text)}


def _thinking_events(said: Answer, pad: _Padding) -> list[bytes]:
    block = _thinking(said)
    blank = _encode({"type": "thinking", "thinking": "", "signature": ""})
    return [
        pad.event("content_block_start", 0, b'"content_block":' + blank),
        *pad.deltas(0, b"thinking_delta", b"thinking", [block["thinking"]]),
        *pad.deltas(0, b"signature_delta", b"signature", [block["signature"]]),
        pad.event("content_block_stop", 0),
    ]


_encode = msgspec.json.Encoder().encode
