"""OpenAI's Chat Completions as a way to the loop: a request brings its conversation along, and the loop answers it.

A loop has no way to be handed a conversation, so it is brought to where that conversation is by playing it: each
earlier text is said, and the model answers what the request says that it did. A session that is there already goes on;
it is known by a digest of everything that was said in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from looprig.messages import Message, message_from_dict
from looprig.service.events import Ended, encoded

DONE = b"data: [DONE]\n\n"


class BadRequest(ValueError):
    """The request cannot be answered; the text says why, ``param`` where."""

    def __init__(self, text: str, param: str | None = None) -> None:
        super().__init__(text)
        self.param = param


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Body(msgspec.Struct):
    messages: list[dict[str, Any]]
    model: str = "looprig"
    stream: bool | None = False
    stream_options: _StreamOptions | None = None


_DECODER = msgspec.json.Decoder(_Body)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request: the system messages, the turns that are over (what was said and answered), and what is said now."""

    model: str
    stream: bool
    usage: bool
    systems: tuple[str, ...]
    earlier: tuple[tuple[str, str], ...]
    text: str

    def places(self) -> list[bytes]:
        """Return a digest of the conversation before each of its turns, the coming one included."""
        where = [place(b"", *self.systems)]
        for said, answered in self.earlier:
            where.append(place(where[-1], said, answered))
        return where


def place(before: bytes, *texts: str) -> bytes:
    """Return the digest of a conversation to which *texts* were added."""
    digest = blake2b(before, digest_size=16)
    for text in texts:
        part = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


def read(raw: bytes) -> Asked:
    """Read the body of a request.

    Raises:
        BadRequest: with what is wrong and what is taken.
    """
    try:
        body = _DECODER.decode(raw)
        messages = [message_from_dict(entry) for entry in body.messages]
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise BadRequest(f"the body is no chat completion request: {error}") from error
    systems, spoken = [m.content for m in messages if m.role == "system"], [m for m in messages if m.role != "system"]
    if not spoken or spoken[-1].role != "user":
        raise BadRequest("the last message has to be the user's, and there has to be one", "messages")
    usage = body.stream_options is not None and body.stream_options.include_usage
    return Asked(
        model=body.model,
        stream=bool(body.stream),
        usage=usage,
        systems=tuple(systems),
        earlier=_turns(spoken[:-1]),
        text=spoken[-1].content,
    )


def _turns(messages: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    turns: list[tuple[str, str]] = []
    for said, answered in zip(messages[::2], messages[1::2], strict=False):
        if said.role != "user" or answered.role != "assistant" or answered.tool_calls:
            break
        turns.append((said.content, answered.content))
    if 2 * len(turns) != len(messages):
        raise BadRequest(
            f"message {2 * len(turns) + 1} of the conversation is out of turn: user and assistant take turns here, and "
            "tools are the loop's own affair; send what its user said and read, system messages apart",
            "messages",
        )
    return tuple(turns)


def failure(text: str, kind: str = "invalid_request_error", param: str | None = None) -> dict[str, Any]:
    """Return the body of an error as OpenAI writes it."""
    return {"error": {"message": text, "type": kind, "param": param, "code": None}}


class Whole:
    """An answer that is not streamed: nothing is sent before it is whole."""

    def __init__(self, ident: str, model: str) -> None:
        self._ident, self._model = ident, model
        self.status = 200
        self.answer: str | None = None

    def texts(self, pieces: Sequence[str]) -> bytes:
        """Nothing yet."""
        return b""

    def asked(self, message: Message) -> bytes:
        """Tools are the loop's own affair."""
        return b""

    def ran(self, call_id: str, name: str, seconds: float, failed: bool) -> bytes:
        """As above."""
        return b""

    def ended(self, ended: Ended) -> bytes:
        """Return the whole response."""
        self.answer = ended.answer
        message: dict[str, Any] = {"role": "assistant", "content": ended.answer, "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        told = _about(self._ident, "chat.completion", self._model)
        return encoded({**told, "choices": [choice], "usage": _usage(ended)})

    def failed(self, kind: str, text: str) -> bytes:
        """Return the body of an error."""
        self.status = 500
        return encoded(failure(f"{kind}: {text}", "server_error"))


class Chunks:
    """An answer as a stream of chunks."""

    def __init__(self, ident: str, model: str, usage: bool) -> None:
        self._told = _about(ident, "chat.completion.chunk", model)
        self._with_usage = usage
        self._first = True
        self.answer: str | None = None
        before, behind = self._chunk({"content": ""}).split(b'"content":""')
        self._before, self._behind = before + b'"content":', behind

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self._with_usage else {}
        return b"data: %b\n\n" % encoded({**self._told, "choices": [choice], **usage})

    def _opening(self) -> bytes:
        if not self._first:
            return b""
        self._first = False
        return self._chunk({"role": "assistant", "content": ""})

    def texts(self, pieces: Sequence[str]) -> bytes:
        """One chunk for each piece."""
        before, behind = self._before, self._behind
        return self._opening() + b"".join([b"%b%b%b" % (before, encoded(piece), behind) for piece in pieces])

    def asked(self, message: Message) -> bytes:
        """Tools are the loop's own affair."""
        return b""

    def ran(self, call_id: str, name: str, seconds: float, failed: bool) -> bytes:
        """As above."""
        return b""

    def ended(self, ended: Ended) -> bytes:
        """Return the reason to stop, the usage where it is wanted, and the end marker."""
        self.answer = ended.answer
        last = self._opening() + self._chunk({}, "stop")
        if self._with_usage:
            last += b"data: %b\n\n" % encoded({**self._told, "choices": [], "usage": _usage(ended)})
        return last + DONE

    def failed(self, kind: str, text: str) -> bytes:
        """Return an error as OpenAI sends it in the middle of a stream; no end marker follows."""
        return b"data: %b\n\n" % encoded(failure(f"{kind}: {text}", "server_error"))


def _about(ident: str, kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{ident}", "object": kind, "created": int(time.time()), "model": model}


def _usage(ended: Ended) -> dict[str, int]:
    prompt, completion = ended.input_tokens, ended.output_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
