"""CAMEL: `camel.agents.ChatAgent`, which keeps its records in a memory."""

from __future__ import annotations

from typing import Any

from camel.agents import ChatAgent
from camel.models import BaseModelBackend
from camel.models.stub_model import StubTokenCounter
from camel.toolkits import FunctionTool
from openai.types.chat import ChatCompletion

from looprig.adapters import chat

FRAMEWORK = "camel"
PACKAGES = ("camel-ai",)
EXTRA = "camel"


def make(model: Any, tools: Any, *, window: int | None = None) -> Loop:
    """Return an agent that sends its last *window* messages, or all of them."""
    return Loop(model, tools, window)


class Loop:
    """One conversation with an agent."""

    def __init__(self, model: Any, tools: Any, window: int | None) -> None:
        self._systems: list[str] = []
        self._agent: Any = None
        self._options = {
            "model": _Backend(model),
            "tools": [_tool(tool) for tool in tools.values()],
            "message_window_size": window,
            "step_timeout": None,  # the scenario says how long things take
            "tool_execution_timeout": None,
            "summarize_threshold": None,  # a summary would be a question to the model that no script has
        }

    def add_system(self, text: str) -> None:
        self._systems.append(text)
        if self._agent is not None:
            self._agent.update_system_message(chat.BETWEEN.join(self._systems), reset_memory=False)

    async def send(self, text: str) -> str:
        if self._agent is None:  # an agent is told its system message when it is made
            self._agent = ChatAgent(chat.BETWEEN.join(self._systems) or None, **self._options)
        response = await self._agent.astep(text)
        return str(response.msgs[0].content) if response.msgs else ""


def _chats(message: Any) -> list[chat.Chat]:
    """Return a message of the framework, which has chat-completions dicts of its own."""
    return chat.systems(message["content"]) if message["role"] == "system" else [message]


class _Backend(BaseModelBackend):
    """Looprig's model as a model backend."""

    def __init__(self, model: Any) -> None:
        super().__init__("looprig", {})
        self._asked = model

    @property
    def token_counter(self) -> Any:
        return StubTokenCounter()  # it counts 10 for anything: the window counts messages

    async def _arun(self, messages: Any, response_format: Any = None, tools: Any = None) -> ChatCompletion:
        reply = await self._asked.acomplete([entry for message in messages for entry in _chats(message)])
        reason = "tool_calls" if "tool_calls" in reply else "stop"
        return ChatCompletion.model_validate(
            {
                "id": "looprig",
                "object": "chat.completion",
                "created": 0,
                "model": "looprig",
                "choices": [{"index": 0, "finish_reason": reason, "message": reply}],
            }
        )

    def _run(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("an agent that is asked asynchronously calls _arun alone")


def _tool(tool: Any) -> FunctionTool:
    async def run(**arguments: Any) -> str:
        return await chat.run(tool, arguments)

    run.__name__ = tool.name
    schema = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return FunctionTool(run, openai_tool_schema={"type": "function", "function": schema})
