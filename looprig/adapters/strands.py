"""Strands Agents: `strands.Agent` with its conversation managers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from strands import Agent
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.models import Model
from strands.tools.tools import PythonAgentTool
from strands.types.exceptions import ModelThrottledException

from looprig.adapters import chat
from looprig.loop import ModelError

FRAMEWORK = "strands"
PACKAGES = ("strands-agents",)
EXTRA = "strands"


def make(model: Any, tools: Any, *, window: int = 40, per_turn: bool = False) -> Loop:
    """Return an agent that keeps *window* messages; 40 is the framework's own default.

    ``per_turn`` also trims before each request, where the framework otherwise trims at the end of a turn alone.
    """
    return Loop(model, tools, SlidingWindowConversationManager(window, per_turn=per_turn))


class Loop:
    """One conversation with an agent, which keeps its messages itself."""

    def __init__(self, model: Any, tools: Any, manager: SlidingWindowConversationManager) -> None:
        self._agent = Agent(
            _Model(model),
            tools=[_tool(tool) for tool in tools.values()],
            callback_handler=None,
            conversation_manager=manager,
        )

    @property
    def history(self) -> list[chat.Chat]:
        return chats(self._agent.messages)

    def add_system(self, text: str) -> None:
        before = self._agent.system_prompt
        self._agent.system_prompt = text if before is None else before + chat.BETWEEN + text

    async def send(self, text: str) -> str:
        answer = await self._agent.invoke_async(text)
        return "".join(block.get("text", "") for block in answer.message["content"])


def chats(messages: Sequence[Any]) -> list[chat.Chat]:
    """Return Strands' messages; its tool results come as blocks of one user message."""
    return [entry for message in messages for entry in _chats(message["role"], message["content"])]


def _chats(role: str, blocks: Sequence[Any]) -> list[chat.Chat]:
    text = "".join(block["text"] for block in blocks if "text" in block)
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    if role == "assistant":
        return [chat.asked(text, [chat.Call(u["toolUseId"], u["name"], chat.written(u["input"])) for u in uses])]
    entries = [chat.result(entry["toolUseId"], _result_text(entry["content"])) for entry in results]
    return [*entries, chat.said(role, text)] if text or not entries else entries


def _result_text(parts: Sequence[Any]) -> str:
    return "".join(part["text"] if "text" in part else chat.shown(part.get("json")) for part in parts)


class _Model(Model):
    """Looprig's model as a Strands model."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def update_config(self, **_config: Any) -> None:
        """There is nothing to configure."""

    def get_config(self) -> dict[str, Any]:
        return {}

    def structured_output(self, *_arguments: Any, **_options: Any) -> Any:
        raise NotImplementedError("looprig's model plays a script; it has no structured output")

    async def stream(
        self, messages: Any, tool_specs: Any = None, system_prompt: str | None = None, **_: Any
    ) -> AsyncIterator[Any]:
        try:
            reply = await self._model.acomplete([*chat.systems(system_prompt), *chats(messages)])
        except ModelError as error:
            if error.status == 429:
                raise ModelThrottledException(str(error)) from error  # as the framework's own models say it
            raise
        calls = list(chat.calls_of(reply))
        yield {"messageStart": {"role": "assistant"}}
        if reply["content"]:
            yield {"contentBlockDelta": {"delta": {"text": reply["content"]}}}
            yield {"contentBlockStop": {}}
        for call in calls:
            yield {"contentBlockStart": {"start": {"toolUse": {"name": call.name, "toolUseId": call.id}}}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": call.arguments}}}}
            yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if calls else "end_turn"}}


def _tool(tool: Any) -> PythonAgentTool:
    async def run(use: Any, **_state: Any) -> Any:
        text = await chat.run(tool, use["input"])  # what it raises is for the framework to handle
        return {"toolUseId": use["toolUseId"], "status": "success", "content": [{"text": text}]}

    spec: Any = {"name": tool.name, "description": tool.description, "inputSchema": {"json": dict(tool.parameters)}}
    return PythonAgentTool(tool.name, spec, run)
