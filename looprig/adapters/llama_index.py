"""LlamaIndex: `FunctionAgent`, with one of the framework's memories.

Its memories count tokens with tiktoken, which needs the square of the length of a run of one character: with the huge
results of `failing_tools` a turn takes longer than anybody waits, and no signal gets through to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata, TextBlock, ToolCallBlock
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.tools import FunctionTool, ToolMetadata
from pydantic import create_model

from looprig.adapters import chat

FRAMEWORK = "llama-index"
PACKAGES = ("llama-index-core", "llama-index-workflows")
EXTRA = "llama-index"

MAX_ROUNDS = 1000
"""Far above what a scenario has; the framework's own limit is 20 rounds a turn."""

MEMORIES = {"memory": Memory, "buffer": ChatMemoryBuffer}  # the framework's newer one, over a database, and its older


def make(
    model: Any, tools: Any, *, memory: str = "memory", token_limit: int = 30_000, max_rounds: int = MAX_ROUNDS
) -> Loop:
    """Return an agent whose memory holds *token_limit* tokens; 30,000 is the framework's own default."""
    if memory not in MEMORIES:
        raise ValueError(f"memory is one of {', '.join(MEMORIES)}; this is {memory!r}")
    return Loop(model, tools, MEMORIES[memory].from_defaults(token_limit=token_limit), max_rounds)


class Loop:
    """One conversation with an agent, which keeps its messages in a memory."""

    def __init__(self, model: Any, tools: Any, memory: Any, max_rounds: int) -> None:
        self._agent = FunctionAgent(
            llm=_Model(asked=model), tools=[_tool(tool) for tool in tools.values()], timeout=None, streaming=False
        )
        self._memory, self._max_rounds = memory, max_rounds

    def add_system(self, text: str) -> None:
        before = self._agent.system_prompt
        self._agent.system_prompt = before + chat.BETWEEN + text if before else text

    async def send(self, text: str) -> str:
        answer = await self._agent.run(text, memory=self._memory, max_iterations=self._max_rounds)
        return str(answer.response.content)


def chats(messages: Iterable[Any]) -> list[chat.Chat]:
    """Return the framework's messages."""
    return [entry for message in messages for entry in _chats(message)]


def _chats(message: Any) -> list[chat.Chat]:
    role, text = message.role.value, "".join(block.text for block in message.blocks if isinstance(block, TextBlock))
    if role in ("system", "tool"):
        call_id = message.additional_kwargs.get("tool_call_id")
        return chat.systems(text) if role == "system" else [chat.result(call_id, text)]
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    return [chat.asked(text, list(map(_call, blocks)))] if blocks else [chat.said(role, text)]


def _call(block: Any) -> chat.Call:
    arguments = block.tool_kwargs
    return chat.Call(
        block.tool_call_id, block.tool_name, arguments if isinstance(arguments, str) else chat.written(arguments)
    )


class _Model(FunctionCallingLLM):
    """Looprig's model as a LlamaIndex model."""

    asked: Any

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True, model_name="looprig")

    def _prepare_chat_with_tools(self, tools: Any, chat_history: Any = None, **_: Any) -> dict[str, Any]:
        return {"messages": chat_history}

    async def achat(self, messages: Any, **_: Any) -> ChatResponse:
        reply = await self.asked.acomplete(chats(messages))
        blocks: list[Any] = [TextBlock(text=reply["content"])] if reply["content"] else []
        blocks += [
            ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=call.parsed())
            for call in chat.calls_of(reply)
        ]
        return ChatResponse(message=ChatMessage(role="assistant", blocks=blocks))

    def get_tool_calls_from_response(self, response: Any, **_: Any) -> list[ToolSelection]:
        return [
            ToolSelection(tool_id=block.tool_call_id, tool_name=block.tool_name, tool_kwargs=block.tool_kwargs)
            for block in response.message.blocks
            if isinstance(block, ToolCallBlock)
        ]

    def _unused(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("an agent that does not stream calls achat alone")

    chat = complete = stream_chat = stream_complete = acomplete = astream_chat = astream_complete = _unused


def _tool(tool: Any) -> FunctionTool:
    async def run(**arguments: Any) -> str:
        return await chat.run(tool, arguments)

    fields: Any = dict.fromkeys(tool.parameters["properties"], (str, ...))
    schema = create_model(tool.name, **fields)
    return FunctionTool(async_fn=run, metadata=ToolMetadata(tool.description, tool.name, fn_schema=schema))
