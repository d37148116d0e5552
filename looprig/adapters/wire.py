"""A provider inside of the process, for official clients: their HTTP requests are read, judged and answered here.

The client is the real one, with this as the transport of its HTTP client: what it sends is the body that it would
send, and what it is refused is refused in the provider's words, so that it raises its own typed errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2

from looprig.adapters import chat
from looprig.loop import Model, ModelError
from looprig.messages import Message
from looprig.providers import PROVIDERS
from looprig.providers.base import Answer, Problem, Received, Refused, Seen

_FAULTS = {400: "bad_request", 429: "rate_limit"}
_RATE_LIMIT = {"limit": 30_000, "used": 30_000, "requested": 500, "retry_s": 1.0}
"""The figures of a planned rate limit: its wait is what counts, and all that the client reads."""

Lenient = Callable[[bytes], list[chat.Chat]]
"""Reads the messages of a body that was refused, for the record."""


class Wire(httpx2.AsyncBaseTransport):
    """Answers requests to one provider with looprig's model."""

    def __init__(self, provider: str, model: Model, lenient: Lenient) -> None:
        self._provider = PROVIDERS[provider]
        self._model = model
        self._lenient = lenient
        self._seen = Seen()
        self._answered = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        raw = await request.aread()
        try:
            received = self._provider.receive(raw, self._seen)
        except Refused as refused:
            self._model.refused(self._lenient(raw))
            return self._failed(refused.problem)
        try:
            message = await self._model.acomplete(_messages(received))
        except ModelError as error:
            kind = _FAULTS.get(error.status, "server_error")
            return self._failed(self._provider.fault(kind, **(_RATE_LIMIT if kind == "rate_limit" else {})))
        self._answered += 1
        stop = "tool_calls" if message.tool_calls else "stop"
        answer = Answer(
            id=f"rig{self._answered}", created=0, model=received.model, message=message, pieces=(), stop=stop
        )
        return self._response(200, self._provider.answer(answer, received))

    def _failed(self, problem: Problem) -> httpx2.Response:
        return self._response(problem.status, self._provider.problem(problem, "rig"), **problem.headers)

    def _response(self, status: int, body: bytes, **headers: str) -> httpx2.Response:
        told = {"content-type": "application/json", **self._provider.headers("rig"), **headers}
        return httpx2.Response(status, headers=told, content=body)


def _messages(received: Received) -> list[Message]:
    """Return the messages of a request; a system that is a list holds one of the application's messages a block."""
    system = received.fields.get("system")
    if not isinstance(system, list) or not system:
        return received.messages
    return [*(Message(role="system", content=block["text"]) for block in system), *received.messages[1:]]


def client_of(provider: str, model: Model, lenient: Lenient) -> Any:
    """Return an HTTP client for an official client."""
    return httpx2.AsyncClient(transport=Wire(provider, model, lenient))
