"""How Chat Completions says an answer, at once or in chunks.

What stands before the text is the same in all chunks of an answer, and what stands from the text on is the same in
all answers of that text: each is made once, and put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from looprig.messages import Message, ToolCall
from looprig.providers.base import Answer, Spliced, Stream, Usage
from looprig.providers.openai_common import encoded, obfuscation, padding

DONE = b"data: [DONE]\n\n"

_PAD = padding("looprig").encode()


def answer(said: Answer, *, reasoning: bool) -> bytes:
    """Return the body of a response; models that reason tell no log probabilities, and have no fingerprint."""
    if not said.message.tool_calls:
        return _answer_of_text(said, reasoning)
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


_ANSWER = (
    b'{"id":"chatcmpl-%b","object":"chat.completion","created":%d,"model":%b,"choices":[{"index":0,'
    b'"message":{"role":"assistant","content":%b,"refusal":null,"annotations":[]},%b"finish_reason":"%b"}],'
    b'"usage":%b,"service_tier":"default","system_fingerprint":%b}'
)
"""A body with a text and no calls: what `answer` makes of one with calls, but for these; a test compares the two."""


def _answer_of_text(said: Answer, reasoning: bool) -> bytes:
    usage = said.usage
    return _ANSWER % (
        said.id.encode(),
        said.created,
        _word(said.model),
        encoded(said.message.content),
        b"" if reasoning else b'"logprobs":null,',
        said.stop.encode(),
        _USAGE % (usage.prompt, usage.completion, usage.prompt + usage.completion, usage.cached),
        b"null" if reasoning else _word(fingerprint(said.model)),
    )


def _message(message: Message) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": message.content or None,
        "tool_calls": [call.to_dict() for call in message.tool_calls],
        "refusal": None,
        "annotations": [],
    }


@lru_cache(maxsize=256)
def _word(text: str) -> bytes:
    """Return *text*, one of few, as JSON."""
    return encoded(text)


@lru_cache(maxsize=256)
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


_USAGE = encoded(usage_of(Usage())).replace(b"%", b"%%")
for _name in (b"prompt_tokens", b"completion_tokens", b"total_tokens", b"cached_tokens"):
    _USAGE = _USAGE.replace(b'"%b":0' % _name, b'"%b":%%d' % _name)


def stream(said: Answer, *, reasoning: bool, usage: bool, obfuscated: bool) -> Stream:
    """Return the chunks: the role, the text, each call's beginning and arguments, the reason to stop, the usage."""
    chunks = _Chunks(said, reasoning=reasoning, usage=usage, obfuscated=obfuscated)
    message = said.message
    if message.content or not message.tool_calls:
        head, begun = chunks.of(_ROLE), 0
    else:
        first = {"role": "assistant", "content": None, **_begin(0, message.tool_calls[0]), "refusal": None}
        head, begun = chunks.of(encoded(first)), 1
    text: Sequence[bytes] = chunks.texts(b'{"content":', b"}", said.pieces[0]) if said.pieces else ()
    deltas, waiting = (list(text) if message.tool_calls else text), b""
    for index, call in enumerate(message.tool_calls):
        if index >= begun:
            waiting += chunks.of(encoded(_begin(index, call)))
        opening = b'{"tool_calls":[{"index":%d,"function":{"arguments":' % index
        made = list(chunks.texts(opening, b"}}]}", said.pieces[index + 1]))
        if made:
            made[0], waiting = waiting + made[0], b""
        deltas = [*deltas, *made]
    tail = waiting + chunks.of(b"{}", said.stop) + (chunks.usage() if usage else b"") + DONE
    return Stream(head=head, deltas=deltas, tail=tail)


def _begin(index: int, call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": ""}
    return {"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]}


_ROLE = b'{"role":"assistant","content":"","refusal":null}'

_CHUNK = (
    b'data: {"id":"chatcmpl-%b","object":"chat.completion.chunk","created":%d,"model":%b,"service_tier":"default",'
    b'"system_fingerprint":%b,"choices":['
)


class _Chunks:
    """Makes the chunks of one answer."""

    def __init__(self, said: Answer, *, reasoning: bool, usage: bool, obfuscated: bool) -> None:
        self._said, self._obfuscated, self._number = said, obfuscated, 0
        print_ = b"null" if reasoning else _word(fingerprint(said.model))
        self._before = _CHUNK % (said.id.encode(), said.created, _word(said.model), print_)
        self._first = self._before + b'{"index":0,"delta":'
        self._logprobs = b"" if reasoning else b',"logprobs":null'
        self._usage = b',"usage":null' if usage else b""

    def of(self, delta: bytes, stop: str | None = None) -> bytes:
        """Return the chunk of one delta, which is JSON."""
        why = b"null" if stop is None else _word(stop)
        return b'%b%b%b,"finish_reason":%b}]%b%b' % (
            self._first, delta, self._logprobs, why, self._usage, self._end("")
        )  # fmt: skip

    def texts(self, before: bytes, behind: bytes, pieces: tuple[str, ...]) -> Sequence[bytes]:
        """Return a chunk for each piece of a text, which stands in its delta between *before* and *behind*."""
        if not pieces:
            return ()
        first = self._first + before
        last = b'%b%b,"finish_reason":null}]%b' % (behind, self._logprobs, self._usage)
        number = self._number
        self._number += len(pieces)
        # The first piece has the marker of the session; the others are the same in each, and are made once.
        endings = (
            *_ending(pieces[:1], last, number, self._obfuscated),
            *_endings(pieces[1:], last, number + 1, self._obfuscated),
        )
        return Spliced(first, endings)

    def usage(self) -> bytes:
        """Return the chunk that has the usage and no choice."""
        return b'%b],"usage":%b%b' % (self._before, encoded(usage_of(self._said.usage)), self._end(""))

    def _end(self, piece: str) -> bytes:
        if not self._obfuscated:
            return b"}\n\n"
        self._number += 1
        return b',"obfuscation":"%b"}\n\n' % obfuscation(_PAD, self._number, piece)


def _ending(pieces: tuple[str, ...], last: bytes, number: int, obfuscated: bool) -> tuple[bytes, ...]:
    """Return what stands in each chunk from its piece on; the pieces before were *number*."""
    if not obfuscated:
        return tuple([encoded(piece) + last + b"}\n\n" for piece in pieces])
    last += b',"obfuscation":"'
    return tuple(
        [
            b'%b%b%b"}\n\n' % (encoded(piece), last, obfuscation(_PAD, at, piece))
            for at, piece in enumerate(pieces, number + 1)
        ]
    )


_endings = lru_cache(maxsize=512)(_ending)
