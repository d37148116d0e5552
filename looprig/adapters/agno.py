"""Agno: `agno.agent.Agent`, with its runs kept in a session in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.exceptions import ModelProviderError
from agno.models.base import Model
from agno.models.response import ModelResponse
from agno.tools import Function

from looprig.adapters import chat
from looprig.loop import ModelError

FRAMEWORK = "agno"
PACKAGES = ("agno",)
EXTRA = "agno"


def make(
    model: Any, tools: Any, *, runs: int | None = None, messages: int | None = None, calls: int | None = None
) -> Loop:
    """Return an agent that adds the last *runs* runs, or the last *messages* messages, to each request.

    Without either it adds the last 3 runs, as the framework does. *calls* leaves that many tool calls in them.
    """
    return Loop(model, tools, num_history_runs=runs, num_history_messages=messages, max_tool_calls_from_history=calls)


class Loop:
    """One conversation with an agent, which keeps its runs in a session."""

    def __init__(self, model: Any, tools: Any, **options: Any) -> None:
        self._agent = Agent(
            model=_Model(id="looprig", asked=model),
            tools=[_tool(tool) for tool in tools.values()],
            db=InMemoryDb(),
            session_id="looprig",
            add_history_to_context=True,
            telemetry=False,
            **options,
        )

    def add_system(self, text: str) -> None:
        before = self._agent.system_message
        self._agent.system_message = f"{before}{chat.BETWEEN}{text}" if before else text

    async def send(self, text: str) -> str:
        output = await self._agent.arun(text)
        return str(output.content)


def chats(messages: Iterable[Any]) -> list[chat.Chat]:
    """Return the framework's messages, which are much like looprig's own."""
    return [entry for message in messages for entry in _chats(message)]


def _chats(message: Any) -> list[chat.Chat]:
    text = message.get_content_string()
    if message.role == "system":
        return chat.systems(text)
    if message.role == "tool":
        return [chat.result(message.tool_call_id, text)]
    entry = chat.said(message.role, text)
    return [{**entry, "tool_calls": message.tool_calls}] if message.tool_calls else [entry]


class _Model(Model):
    """Looprig's model as an Agno model."""

    def __init__(self, id: str, asked: Any) -> None:  # noqa: A002  # the framework's name
        super().__init__(id=id)
        self._asked = asked

    async def ainvoke(self, messages: Any, **_: Any) -> ModelResponse:
        try:
            reply = await self._asked.acomplete(chats(messages))
        except ModelError as error:
            raise ModelProviderError(str(error), error.status) from error  # as the framework's own models say it
        return ModelResponse(
            role="assistant", content=reply["content"] or None, tool_calls=list(reply.get("tool_calls", ()))
        )

    def _unused(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("an agent that does not stream calls ainvoke alone")

    invoke = invoke_stream = ainvoke_stream = _parse_provider_response = _parse_provider_response_delta = _unused


def _tool(tool: Any) -> Function:
    async def run(**arguments: Any) -> str:
        return await chat.run(tool, arguments)

    return Function(
        name=tool.name,
        description=tool.description,
        parameters=dict(tool.parameters),
        entrypoint=run,
        skip_entrypoint_processing=True,
    )
