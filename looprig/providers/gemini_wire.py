"""How Gemini says an answer: as one body, as server-sent events, and as one JSON array that comes in pieces."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from looprig.messages import ToolCall
from looprig.providers.arguments import object_of
from looprig.providers.base import Answer, Stream, Usage

STOPS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}


def body(said: Answer, *, signed: bool) -> bytes:
    """Return the whole of *said* as a body; *signed* says whether the model gives its calls a signature."""
    text = [{"text": said.message.content}] if said.message.content else []
    return _chunk(said, [*text, *_calls(said, signed=signed)], last=True)


def stream(said: Answer, *, signed: bool) -> Stream:
    """Return *said* as server-sent events: each is a whole response with what is new, without a name."""
    return Stream(head=b"", deltas=[_EVENT % chunk for chunk in _chunks(said, signed=signed)], tail=b"")


def array(said: Answer, *, signed: bool) -> Stream:
    """Return *said* as the JSON array that the API streams where nobody asks for events."""
    first, *others = _chunks(said, signed=signed)
    return Stream(head=b"[", deltas=[first, *(b",\r\n" + chunk for chunk in others)], tail=b"]")


def _chunks(said: Answer, *, signed: bool) -> list[bytes]:
    """Return the responses of a stream; a call comes whole, and the last response says why it is the last."""
    texts = said.pieces[0] if said.message.content else ()
    calls = _calls(said, signed=signed)
    if not calls:
        *texts, last = texts or ("",)  # type: ignore[assignment]
        return [*_texts(said, texts), _chunk(said, [{"text": last}], last=True)]
    *some, last_call = calls
    chunks = [*_texts(said, texts), *(_chunk(said, [call], last=False) for call in some)]
    return [*chunks, _chunk(said, [last_call], last=True)]


def _texts(said: Answer, texts: Sequence[str]) -> list[bytes]:
    """Return a response for each text; all but the text is made once."""
    if not texts:
        return []
    before, after = _chunk(said, [{"text": ""}], last=False).split(b'""', 1)
    return [before + _encode(text) + after for text in texts]


def _chunk(said: Answer, parts: Sequence[dict[str, Any]], *, last: bool) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if last:
        candidate["finishReason"] = STOPS[said.stop]
    candidate["index"] = 0
    return _encode(
        {
            "candidates": [candidate],
            "usageMetadata": _usage(said.usage, last=last),
            "modelVersion": said.model,
            "responseId": said.id,
        }
    )


def _usage(usage: Usage, *, last: bool) -> dict[str, Any]:
    """Return the tokens in Gemini's terms; those of the answer are counted when it is over."""
    answered = usage.completion if last else 0
    counts: dict[str, Any] = {"promptTokenCount": usage.prompt}
    if last:
        counts["candidatesTokenCount"] = answered
    counts["totalTokenCount"] = usage.prompt + answered
    if usage.cached:
        counts["cachedContentTokenCount"] = usage.cached
    counts["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.prompt}]
    return counts


def _calls(said: Answer, *, signed: bool) -> list[dict[str, Any]]:
    """Return the calls as parts; of parallel ones the first alone has a signature."""
    parts = [{"functionCall": _call(call)} for call in said.message.tool_calls]
    if parts and signed:
        digest = hashlib.sha256(said.id.encode()).digest()
        parts[0]["thoughtSignature"] = base64.b64encode(digest).decode()  # type: ignore[assignment]
    return parts


def _call(call: ToolCall) -> dict[str, Any]:
    # The older models give no ids; with them a call can be told from its like, and clients send them back.
    return {"id": call.id, "name": call.name, "args": object_of(call.arguments)}


_EVENT = b"data: %b\r\n\r\n"
_encode = msgspec.json.Encoder().encode
