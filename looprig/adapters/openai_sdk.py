"""The loop that people write around the official ``openai`` client (Chat Completions), with the real client."""

from __future__ import annotations

import json
from typing import Any

from openai import AsyncOpenAI

from looprig.adapters import chat
from looprig.adapters.wire import client_of
from looprig.loop import Model, Tools

FRAMEWORK = "openai-sdk"
PACKAGES = ("openai",)
EXTRA = "openai-sdk"


def make(model: Model, tools: Tools, *, keep: int | None = None) -> Loop:
    """Return a conversation with all tools.

    ``keep`` is the trim that people write: the system messages and so many of the newest messages.
    """
    return Loop(model, tools, keep)


class Loop:
    """Asks, runs the calls one after another, asks again; the history is a list of dicts."""

    def __init__(self, model: Model, tools: Tools, keep: int | None) -> None:
        http_client = client_of("openai-chat", model, _read)
        self._client = AsyncOpenAI(api_key="not-a-key", base_url="http://rig.invalid/v1", http_client=http_client)
        self._functions = tools
        self._tools: Any = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
            }
            for tool in map(tools.__getitem__, tools)
        ]
        self._keep = keep
        self.contract = {"providers": ["openai-chat"]}
        self.history: list[Any] = []

    def add_system(self, text: str) -> None:
        self.history.append({"role": "system", "content": text})

    async def send(self, text: str) -> str:
        self.history.append({"role": "user", "content": text})
        while True:
            self._trim()
            response = await self._client.chat.completions.create(
                model="gpt-4.1", messages=self.history, tools=self._tools
            )
            message = response.choices[0].message
            self.history.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                return message.content or ""
            for call in message.tool_calls:
                self.history.append(chat.result(call.id, await self._run(call)))

    async def _run(self, call: Any) -> str:
        try:
            tool = self._functions[call.function.name]
            return await chat.run(tool, json.loads(call.function.arguments or "{}"))
        except Exception as error:  # whatever it is, the model is told
            return f"{type(error).__name__}: {error}"

    def _trim(self) -> None:
        if self._keep is not None and len(self.history) > self._keep:
            system = [message for message in self.history[: -self._keep] if message["role"] == "system"]
            self.history = [*system, *self.history[-self._keep :]]

    async def close(self) -> None:
        await self._client.close()


def _read(raw: bytes) -> list[chat.Chat]:
    return list(json.loads(raw)["messages"])
