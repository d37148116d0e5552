"""The loop that people write around the official ``anthropic`` client (Messages), with the real client."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from anthropic import AsyncAnthropic

from looprig.adapters import chat
from looprig.adapters.wire import client_of
from looprig.loop import Model, Tools

FRAMEWORK = "anthropic-sdk"
PACKAGES = ("anthropic",)
EXTRA = "anthropic-sdk"


def make(model: Model, tools: Tools, *, keep: int | None = None) -> Loop:
    """Return a conversation with all tools.

    ``keep`` is the trim that people write: so many of the newest messages (the system prompt is apart).
    """
    return Loop(model, tools, keep)


class Loop:
    """Asks, runs the calls one after another, asks again; the messages are a list of dicts, results in one of them."""

    def __init__(self, model: Model, tools: Tools, keep: int | None) -> None:
        http_client = client_of("anthropic", model, _read)
        self._client = AsyncAnthropic(api_key="not-a-key", base_url="http://rig.invalid", http_client=http_client)
        self._functions = tools
        self._tools: Any = [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
            for tool in map(tools.__getitem__, tools)
        ]
        self._keep = keep
        self._system: list[Any] = []
        self._messages: list[Any] = []
        self.contract = {"providers": ["anthropic"]}

    def add_system(self, text: str) -> None:
        self._system.append({"type": "text", "text": text})

    async def send(self, text: str) -> str:
        self._messages.append({"role": "user", "content": text})
        while True:
            if self._keep is not None:
                self._messages = self._messages[-self._keep :]
            message = await self._client.messages.create(
                model="claude-sonnet-5",
                max_tokens=1024,
                system=self._system,
                messages=self._messages,
                tools=self._tools,
            )
            self._messages.append({"role": "assistant", "content": [block.model_dump() for block in message.content]})
            if message.stop_reason != "tool_use":
                return "".join(block.text for block in message.content if block.type == "text")
            results = [await self._result(block) for block in message.content if block.type == "tool_use"]
            self._messages.append({"role": "user", "content": results})

    async def _result(self, use: Any) -> dict[str, Any]:
        entry = {"type": "tool_result", "tool_use_id": use.id}
        try:
            return {**entry, "content": await chat.run(self._functions[use.name], use.input)}
        except Exception as error:  # whatever it is, the model is told
            return {**entry, "content": f"{type(error).__name__}: {error}", "is_error": True}

    @property
    def history(self) -> list[chat.Chat]:
        return chats(self._system, self._messages)

    async def close(self) -> None:
        await self._client.close()


def _read(raw: bytes) -> list[chat.Chat]:
    body = json.loads(raw)
    return chats(body.get("system", ()), body["messages"])


def chats(system: Sequence[Any], messages: Sequence[Any]) -> list[chat.Chat]:
    """Return Anthropic's messages as chat-completions dicts; one of a user's may hold several results."""
    said = [chat.said("system", block["text"]) for block in system]
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        uses = [chat.Call(b["id"], b["name"], chat.written(b["input"])) for b in blocks if b["type"] == "tool_use"]
        results = [chat.result(b["tool_use_id"], b["content"]) for b in blocks if b["type"] == "tool_result"]
        said += results
        if message["role"] == "assistant":
            said.append(chat.asked(text, uses))
        elif text or not results:
            said.append(chat.said("user", text))
    return said
