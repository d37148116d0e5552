"""LangChain's ``create_agent``: a LangGraph graph of a model and a tool node, with a checkpointer as its memory."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, before_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langchain_core.messages.utils import count_tokens_approximately, trim_messages
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from looprig.adapters import chat
from looprig.loop import Model, Tool, Tools

FRAMEWORK = "langchain"
PACKAGES = ("langchain", "langchain-core", "langgraph")
EXTRA = "langchain"

_RECOMMENDED: Any = {"strategy": "last", "start_on": "human", "include_system": True}
_ONE_THREAD: Any = {"configurable": {"thread_id": "1"}}


def make(model: Model, tools: Tools, *, trim: int | None = None) -> Loop:
    """Return a conversation with an agent that has all tools.

    ``trim`` puts ``trim_messages`` in front of the model, with that many of LangChain's approximate tokens.
    """
    return Loop(model, tools, trim)


class Loop:
    """A conversation with a LangChain agent; system messages are part of the conversation."""

    def __init__(self, model: Model, tools: Tools, trim: int | None) -> None:
        middleware: list[AgentMiddleware[Any, Any]] = [] if trim is None else [_trimming(trim)]
        functions = [_tool(tools[name]) for name in tools]
        memory = InMemorySaver()
        self._agent: Any = create_agent(RigModel(rig=model), functions, middleware=middleware, checkpointer=memory)
        self._system: list[BaseMessage] = []

    def add_system(self, text: str) -> None:
        self._system.append(SystemMessage(text))

    async def send(self, text: str) -> str:
        said, self._system = [*self._system, HumanMessage(text)], []
        state = await self._agent.ainvoke({"messages": said}, _ONE_THREAD)
        return str(state["messages"][-1].text)

    @property
    def history(self) -> list[chat.Chat]:
        return [chat_of(message) for message in self._agent.get_state(_ONE_THREAD).values.get("messages", ())]


def _trimming(tokens: int) -> AgentMiddleware[Any, Any]:
    """Return the middleware of LangChain's guide to short-term memory, with the trim that its reference recommends."""

    @before_model
    def trim(state: Any, _runtime: Any) -> dict[str, Any]:
        counted = {"token_counter": count_tokens_approximately, "max_tokens": tokens}
        kept = trim_messages(state["messages"], **counted, **_RECOMMENDED)
        return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), *kept]}

    return trim


def _tool(tool: Tool) -> BaseTool:
    async def run(**arguments: Any) -> object:
        return await tool.arun(arguments)

    schema = dict(tool.parameters)
    return StructuredTool(name=tool.name, description=tool.description, args_schema=schema, coroutine=run)


class RigModel(BaseChatModel):
    """Looprig's model as a chat model of LangChain."""

    rig: Any

    @property
    def _llm_type(self) -> str:
        return "looprig"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return _result(self.rig.complete(list(map(chat_of, messages))))

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return _result(await self.rig.acomplete(list(map(chat_of, messages))))


def _result(reply: chat.Chat) -> ChatResult:
    good, bad = [], []
    for call in chat.calls_of(reply):
        try:
            good.append({"name": call.name, "args": call.parsed(), "id": call.id})
        except ValueError as error:  # kept apart, as LangChain's own clients do
            bad.append({"name": call.name, "args": call.arguments, "id": call.id, "error": str(error)})
    message = AIMessage(reply["content"], tool_calls=good, invalid_tool_calls=bad)
    return ChatResult(generations=[ChatGeneration(message=message)])


def chat_of(message: BaseMessage) -> chat.Chat:
    """Return a LangChain message as its clients for OpenAI write it."""
    text: Any = message.content
    if isinstance(message, AIMessage):
        calls = [chat.Call(call["id"] or "", call["name"], chat.written(call["args"])) for call in message.tool_calls]
        bad = [chat.Call(it["id"] or "", it["name"] or "", it["args"] or "") for it in message.invalid_tool_calls]
        return chat.asked(text, [*calls, *bad])
    if isinstance(message, ToolMessage):
        return chat.result(message.tool_call_id, text)
    return chat.said("system" if isinstance(message, SystemMessage) else "user", text)
