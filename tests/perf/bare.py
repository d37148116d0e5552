"""The least that could serve a model: what `looprig serve model` is held against.

The same server, the same JSON library, a reply of the same size, and nothing looked at. It is run by uvicorn as
``tests.perf.bare:app``; a stream sends each of its events by itself, as one writes it at first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

CHUNKS = 64

WORDS = [f"word{number:02d} " for number in range(CHUNKS)]
TEXT = "".join(WORDS)

_PLAIN = [(b"content-type", b"application/json")]
_EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer a chat completion."""
    if scope["type"] != "http":
        return
    request = msgspec.json.decode(await _body(receive))
    if request.get("stream"):
        await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
        for word in WORDS:
            await send({"type": "http.response.body", "body": _event({"content": word}, None), "more_body": True})
        await send({"type": "http.response.body", "body": _event({}, "stop"), "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": _PLAIN})
        await send({"type": "http.response.body", "body": msgspec.json.encode(_reply(request["model"]))})


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        event = await receive()
        parts.append(event.get("body", b""))
        if not event.get("more_body"):
            return b"".join(parts)


def _reply(model: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []}
    return {
        "id": "chatcmpl-bare",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 64, "total_tokens": 164},
        "service_tier": "default",
    }


def _event(delta: dict[str, Any], finish: str | None) -> bytes:
    chunk = {
        "id": "chatcmpl-bare",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
