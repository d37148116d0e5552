"""The OpenAI Agents SDK: ``Runner.run`` with a session as its memory."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Mapping
from typing import Any

from agents import (
    Agent,
    FunctionTool,
    ModelResponse,
    RunConfig,
    Runner,
    SessionSettings,
    SQLiteSession,
    Usage,
    function_tool,
)
from agents import Model as AgentModel
from agents.models.chatcmpl_converter import Converter
from openai.types.chat import ChatCompletionMessage

from looprig.adapters import chat
from looprig.loop import Contract, Model, Tool, Tools

FRAMEWORK = "openai-agents"
PACKAGES = ("openai-agents", "openai")
EXTRA = "openai-agents"


def make(model: Model, tools: Tools, *, limit: int | None = None, max_turns: int | None = None) -> Loop:
    """Return a conversation with an agent that has all tools.

    ``limit`` is the session's: a run starts from that many of the newest items. ``max_turns`` bounds the model's
    replies in one run, of which the framework's own default is 10.
    """
    return Loop(model, tools, limit, max_turns)


class Loop:
    """A conversation: one run a message, all with the same session."""

    def __init__(self, model: Model, tools: Tools, limit: int | None, max_turns: int | None) -> None:
        self.contract = Contract(rounds_max=max_turns)
        self._agent = Agent(name="rig", model=_Model(model), tools=[_tool(tools[name]) for name in tools])
        self._session = SQLiteSession("rig")
        self._max_turns = max_turns
        self._config = RunConfig(tracing_disabled=True, session_settings=SessionSettings(limit=limit))

    def add_system(self, text: str) -> None:
        before = self._agent.instructions
        self._agent.instructions = text if before is None else f"{before}{chat.BETWEEN}{text}"

    async def send(self, text: str) -> str:
        result = await Runner.run(
            self._agent, text, session=self._session, max_turns=self._max_turns, run_config=self._config
        )
        return str(result.final_output)

    def history(self) -> list[Any]:
        """Return the session's items; only to be asked for at the end, because it takes an event loop to read them."""
        return Converter.items_to_messages(asyncio.run(self._session.get_items()))

    def close(self) -> None:
        self._session.close()


def _tool(tool: Tool) -> FunctionTool:
    """Return the tool as a function with the parameters of its schema: the framework makes its own schema of them."""

    async def run(**arguments: Any) -> object:
        return await tool.arun(arguments)

    names: Mapping[str, Any] = tool.parameters["properties"]
    run.__annotations__ = {**dict.fromkeys(names, str), "return": object}
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=str) for name in names]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function_tool(run, name_override=tool.name, description_override=tool.description)


class _Model(AgentModel):
    """Looprig's model as a model of the framework, which converts as the framework's chat-completions model does."""

    def __init__(self, rig: Model) -> None:
        self._rig = rig

    async def get_response(self, system_instructions: str | None, input: Any, *_: Any, **__: Any) -> ModelResponse:  # noqa: A002 - the framework's name
        said: Any = [*chat.systems(system_instructions), *Converter.items_to_messages(input)]
        reply = await self._rig.acomplete(said)
        message = ChatCompletionMessage.model_validate(reply)
        return ModelResponse(Converter.message_to_output_items(message), Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise NotImplementedError("this adapter does not stream")
