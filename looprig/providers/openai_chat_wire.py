"""How Chat Completions says an answer, at once or in chunks.

The halves of a chunk that stay the same are made once an answer, and each piece of text is put between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from looprig.messages import Message, ToolCall
from looprig.providers.base import Answer, Stream, Usage
from looprig.providers.openai_common import encoded, obfuscation, padding

DONE = b"data: [DONE]\n\n"


def answer(said: Answer, *, reasoning: bool) -> bytes:
    """Return the body of a response; models that reason tell no log probabilities, and have no fingerprint."""
    choice = {"index": 0, "message": _message(said.message), "logprobs": None, "finish_reason": said.stop}
    body = {
        "id": f"chatcmpl-{said.id}",
        "object": "chat.completion",
        "created": said.created,
        "model": said.model,
        "choices": [choice],
        "usage": usage_of(said.usage),
        "service_tier": "default",
        "system_fingerprint": None if reasoning else fingerprint(said.model),
    }
    if reasoning:
        del choice["logprobs"]
    return encoded(body)


def _message(message: Message) -> dict[str, Any]:
    told: dict[str, Any] = {"role": "assistant", "content": message.content or None}
    if message.tool_calls:
        told["tool_calls"] = [call.to_dict() for call in message.tool_calls]
    else:
        told["content"] = message.content
    told["refusal"] = None
    told["annotations"] = []
    return told


def fingerprint(model: str) -> str:
    """Return the fingerprint of the system behind *model*: a hash of its name."""
    return f"fp_{padding(model)[:10]}"


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return the tokens of a request as this API counts them."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0, "cache_write_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def stream(said: Answer, *, reasoning: bool, usage: bool, obfuscated: bool) -> Stream:
    """Return the chunks: the role, the text, each call's beginning and arguments, the reason to stop, the usage."""
    chunks = _Chunks(said, reasoning=reasoning, usage=usage, obfuscated=obfuscated)
    message = said.message
    if message.content or not message.tool_calls:
        head, begun = chunks.of({"role": "assistant", "content": "", "refusal": None}), 0
    else:
        first = {"role": "assistant", "content": None, **_begin(0, message.tool_calls[0]), "refusal": None}
        head, begun = chunks.of(first), 1
    deltas = chunks.texts(b'{"content":', b"}", said.pieces[0]) if said.pieces else []
    waiting = b""
    for index, call in enumerate(message.tool_calls):
        if index >= begun:
            waiting += chunks.of(_begin(index, call))
        opening = b'{"tool_calls":[{"index":%d,"function":{"arguments":' % index
        made = chunks.texts(opening, b"}}]}", said.pieces[index + 1])
        if made:
            made[0], waiting = waiting + made[0], b""
        deltas += made
    tail = waiting + chunks.of({}, said.stop) + (chunks.usage() if usage else b"") + DONE
    return Stream(head=head, deltas=deltas, tail=tail)


def _begin(index: int, call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": ""}
    return {"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]}


class _Chunks:
    """Makes the chunks of one answer."""

    def __init__(self, said: Answer, *, reasoning: bool, usage: bool, obfuscated: bool) -> None:
        whole = {
            "id": f"chatcmpl-{said.id}",
            "object": "chat.completion.chunk",
            "created": said.created,
            "model": said.model,
            "service_tier": "default",
            "system_fingerprint": None if reasoning else fingerprint(said.model),
        }
        self._said, self._obfuscated, self._pad, self._number = said, obfuscated, padding(said.id).encode(), 0
        self._before = b'data: %b,"choices":[' % encoded(whole)[:-1]
        self._first = self._before + b'{"index":0,"delta":'
        self._logprobs = b"" if reasoning else b',"logprobs":null'
        self._usage = b',"usage":null' if usage else b""

    def of(self, delta: dict[str, Any], stop: str | None = None) -> bytes:
        """Return the chunk of one delta."""
        reason = b'%b,"finish_reason":%b}]%b' % (self._logprobs, encoded(stop), self._usage)
        return self._first + encoded(delta) + reason + self._end("")

    def texts(self, before: bytes, behind: bytes, pieces: tuple[str, ...]) -> list[bytes]:
        """Return a chunk for each piece of a text, which stands in its delta between *before* and *behind*."""
        first = self._first + before
        last = b'%b%b,"finish_reason":null}]%b' % (behind, self._logprobs, self._usage)
        return list(self._spliced(first, last, pieces))

    def _spliced(self, first: bytes, last: bytes, pieces: tuple[str, ...]) -> Iterator[bytes]:
        if not self._obfuscated:
            last += b"}\n\n"
            for piece in pieces:
                yield first + encoded(piece) + last
            return
        last += b',"obfuscation":"'
        for number, piece in enumerate(pieces, self._number + 1):
            yield b'%b%b%b%b"}\n\n' % (first, encoded(piece), last, obfuscation(self._pad, number, piece))
        self._number += len(pieces)

    def usage(self) -> bytes:
        """Return the chunk that has the usage and no choice."""
        return b'%b],"usage":%b%b' % (self._before, encoded(usage_of(self._said.usage)), self._end(""))

    def _end(self, piece: str) -> bytes:
        if not self._obfuscated:
            return b"}\n\n"
        self._number += 1
        return b',"obfuscation":"%b"}\n\n' % obfuscation(self._pad, self._number, piece)
