"""Pydantic AI: ``Agent.run`` with the messages of all runs so far as its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.tools import Tool as AgentTool
from pydantic_ai.usage import UsageLimits

from looprig.adapters import chat
from looprig.loop import Contract, Model, Tool, Tools

FRAMEWORK = "pydantic-ai"
PACKAGES = ("pydantic-ai-slim",)
EXTRA = "pydantic-ai"


def make(model: Model, tools: Tools, *, keep: int | None = None, requests: int | None = None) -> Loop:
    """Return a conversation with an agent that has all tools.

    ``keep`` adds the history processor of the framework's guide, which keeps that many messages. ``requests`` is the
    limit of one run, of which the framework's own default is 50.
    """
    return Loop(model, tools, keep, requests)


class Loop:
    """A conversation: each run is given what the runs before it left."""

    def __init__(self, model: Model, tools: Tools, keep: int | None, requests: int | None) -> None:
        async def ask(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            said: Any = [*chat.systems(info.instructions), *chats(messages)]
            return _response(await model.acomplete(said))

        self._agent = Agent(
            FunctionModel(ask),
            tools=[_tool(tools[name]) for name in tools],
            capabilities=[] if keep is None else [ProcessHistory(lambda messages: messages[-keep:])],
        )
        self.contract = Contract(rounds_max=requests)
        self._limits = UsageLimits(request_limit=requests)
        self._instructions: str | None = None
        self._messages: list[ModelMessage] = []

    def add_system(self, text: str) -> None:
        self._instructions = text if self._instructions is None else self._instructions + chat.BETWEEN + text

    async def send(self, text: str) -> str:
        result = await self._agent.run(
            text, message_history=self._messages, instructions=self._instructions, usage_limits=self._limits
        )
        self._messages = result.all_messages()
        return result.output

    @property
    def history(self) -> list[chat.Chat]:
        return chats(self._messages)


def _tool(tool: Tool) -> AgentTool[Any]:
    async def run(**arguments: Any) -> object:
        return await tool.arun(arguments)

    return AgentTool.from_schema(run, tool.name, tool.description, dict(tool.parameters))


def _response(reply: chat.Chat) -> ModelResponse:
    text = [TextPart(reply["content"])] if reply["content"] else []
    calls = [ToolCallPart(call.name, call.arguments, call.id) for call in chat.calls_of(reply)]
    return ModelResponse([*text, *calls])


def chats(messages: Sequence[ModelMessage]) -> list[chat.Chat]:
    """Return Pydantic AI's messages, of which one request may hold several, as its OpenAI model writes them."""
    said: list[chat.Chat] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            calls = [
                chat.Call(call.tool_call_id, call.tool_name, call.args_as_json_str()) for call in message.tool_calls
            ]
            said.append(chat.asked(message.text or "", calls))
        else:
            said.extend(_chat_of(part) for part in message.parts)
    return said


def _chat_of(part: Any) -> chat.Chat:
    if isinstance(part, SystemPromptPart):
        return chat.said("system", part.content)
    if isinstance(part, ToolReturnPart):
        return chat.result(part.tool_call_id, part.model_response_str())
    if isinstance(part, RetryPromptPart):
        text = part.model_response()
        return chat.said("user", text) if part.tool_name is None else chat.result(part.tool_call_id, text)
    return chat.said("user", part.content)
