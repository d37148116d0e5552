"""LiteLLM: the loop that people write around `litellm.acompletion`, with the library's `trim_messages`."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it fetches a list of prices when it is imported

import litellm
from litellm.llms.custom_llm import CustomLLM, CustomLLMError
from litellm.utils import custom_llm_setup, trim_messages

from looprig.adapters import chat
from looprig.loop import ModelError

FRAMEWORK = "litellm"
PACKAGES = ("litellm",)
EXTRA = "litellm"


def make(model: Any, tools: Any, *, trim: int | None = None) -> Loop:
    """Return a loop; *trim* puts ``trim_messages(max_tokens=trim)`` before each request, as the library shows it."""
    return Loop(model, tools, trim)


class Loop:
    """One conversation: a list of messages, as the library's guide to function calling keeps it."""

    def __init__(self, model: Any, tools: Any, trim: int | None) -> None:
        self._model, self._tools, self._trim = _HANDLER.add(model), tools, trim
        self._schemas = [_schema(tool) for tool in tools.values()]
        self.history: list[chat.Chat] = []

    def add_system(self, text: str) -> None:
        self.history.append(chat.said("system", text))

    async def send(self, text: str) -> str:
        self.history.append(chat.said("user", text))
        while True:
            sent = self.history if self._trim is None else trim_messages(self.history, max_tokens=self._trim)
            response = await litellm.acompletion(self._model, sent, tools=self._schemas)
            message = response.choices[0].message
            self.history.append(_dict(message))
            if not message.tool_calls:
                return str(message.content)
            self.history += await asyncio.gather(*map(self._answer, message.tool_calls))

    async def _answer(self, call: Any) -> chat.Chat:
        try:
            text = await chat.run(self._tools[call.function.name], json.loads(call.function.arguments))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
        return chat.result(call.id, text)

    def close(self) -> None:
        _HANDLER.models.pop(self._model, None)


def _dict(message: Any) -> chat.Chat:
    calls = [chat.Call(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()]
    return chat.asked(message.content or "", calls)


def _schema(tool: Any) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


class _Handler(CustomLLM):
    """Looprig's models as models of a provider of their own; the library knows providers by name alone."""

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[str, Any] = {}
        self._numbers = itertools.count()

    def add(self, model: Any) -> str:
        name = f"looprig/{next(self._numbers)}"
        self.models[name] = model
        return name

    async def acompletion(self, model: str, messages: Any, model_response: Any, **_: Any) -> Any:
        try:
            reply = await self.models[f"looprig/{model}"].acomplete(messages)
        except ModelError as error:
            raise CustomLLMError(error.status, str(error)) from error
        reason = "tool_calls" if "tool_calls" in reply else "stop"
        return litellm.ModelResponse(choices=[{"index": 0, "finish_reason": reason, "message": reply}])


_HANDLER = _Handler()
litellm.custom_provider_map.append({"provider": "looprig", "custom_handler": _HANDLER})
custom_llm_setup()
