"""LangChain's ``create_agent``: a LangGraph graph of a model node and a tool node, with a checkpointer as its memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, before_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from looprig.adapters._chat import arguments_of, call_dict
from looprig.loop import Contract, Model, Tool, Tools

FRAMEWORK = "langchain"
PACKAGES = ("langchain", "langchain-core", "langgraph")
EXTRA = "langchain"

_ONE_THREAD: Any = {"configurable": {"thread_id": "1"}}
_ROLES = {SystemMessage: "system", HumanMessage: "user", AIMessage: "assistant", ToolMessage: "tool"}


def make(model: Model, tools: Tools, *, trim: int | None = None) -> Loop:
    """Make an agent with all tools; *trim* puts ``trim_messages`` in front of the model, with that many tokens."""
    return Loop(model, tools, trim)


class Loop:
    """A conversation with a LangChain agent; system messages are part of the conversation."""

    def __init__(self, model: Model, tools: Tools, trim: int | None) -> None:
        middleware: list[AgentMiddleware[Any, Any]] = [] if trim is None else [_trimming(trim)]
        self._agent: Any = create_agent(
            RigModel(rig=model),
            [_tool(tool) for tool in map(tools.__getitem__, tools)],
            middleware=middleware,
            checkpointer=InMemorySaver(),
        )
        self._system: list[BaseMessage] = []
        self.contract = Contract()

    def add_system(self, text: str) -> None:
        self._system.append(SystemMessage(text))

    async def send(self, text: str) -> str:
        said, self._system = [*self._system, HumanMessage(text)], []
        state = await self._agent.ainvoke({"messages": said}, _ONE_THREAD)
        return str(state["messages"][-1].text)

    @property
    def history(self) -> list[dict[str, Any]]:
        return [message_dict(message) for message in self._agent.get_state(_ONE_THREAD).values.get("messages", ())]


def _trimming(tokens: int) -> AgentMiddleware[Any, Any]:
    """Return the middleware that LangChain's guide to short-term memory shows, with the trim that its reference
    recommends for chat models."""

    @before_model
    def trim(state: Any, _runtime: Any) -> dict[str, Any]:
        kept = trim_messages(
            state["messages"],
            strategy="last",
            token_counter=count_tokens_approximately,
            max_tokens=tokens,
            start_on="human",
            include_system=True,
        )
        return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), *kept]}

    return trim


def _tool(tool: Tool) -> BaseTool:
    async def run(**arguments: Any) -> object:
        return await tool.arun(arguments)

    return StructuredTool(
        name=tool.name, description=tool.description, args_schema=dict(tool.parameters), coroutine=run
    )


class RigModel(BaseChatModel):
    """Looprig's model as a chat model of LangChain."""

    rig: Any

    @property
    def _llm_type(self) -> str:
        return "looprig"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return _result(self.rig.complete(list(map(message_dict, messages))))

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return _result(await self.rig.acomplete(list(map(message_dict, messages))))


def _result(reply: dict[str, Any]) -> ChatResult:
    good, bad = [], []
    for call in reply.get("tool_calls", ()):
        name, text = call["function"]["name"], call["function"]["arguments"]
        arguments = arguments_of(text)
        if arguments is None:
            bad.append({"name": name, "args": text, "id": call["id"], "error": "no JSON object"})
        else:
            good.append({"name": name, "args": arguments, "id": call["id"]})
    message = AIMessage(reply["content"], tool_calls=good, invalid_tool_calls=bad)
    return ChatResult(generations=[ChatGeneration(message=message)])


def message_dict(message: BaseMessage) -> dict[str, Any]:
    """Return a LangChain message in the chat-completions format, as LangChain's OpenAI package does."""
    entry: dict[str, Any] = {"role": _ROLES[type(message)], "content": message.content}
    if isinstance(message, AIMessage):
        calls: Sequence[Any] = (*message.tool_calls, *message.invalid_tool_calls)
        entry["tool_calls"] = [call_dict(call["id"] or "", call["name"] or "", call["args"] or "{}") for call in calls]
    if isinstance(message, ToolMessage):
        entry["tool_call_id"] = message.tool_call_id
    return entry
