"""Pydantic AI: the history processor of its docs, by itself and inside an agent, and the compaction of its harness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RunUsage
from pydantic_ai_harness.compaction import SlidingWindowCompaction

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import NotRepresentable, Subject, Trimmer, contract_in
from looprig.trimmers.frameworks._shape import UNKNOWN

PACKAGES = ("pydantic-ai-slim", "pydantic-ai-harness")

SLIM, HARNESS = ("pydantic-ai-slim",), ("pydantic-ai-harness",)


class Codec:
    """Requests and responses with parts: a system prompt shares a request with what follows it, as results do."""

    def load(self, messages: Sequence[Message]) -> list[Any]:
        return self.extend([], messages)

    def extend(self, native: Sequence[Any], messages: Sequence[Message]) -> list[Any]:
        """Return *native* with *messages* added; what belongs to the last request joins it."""
        kept: list[ModelMessage] = list(native)
        names = {call.id: call.name for message in self.dump(native) for call in message.tool_calls}
        for message in messages:
            if message.role == "assistant":
                kept.append(_response(message))
                names.update((call.id, call.name) for call in message.tool_calls)
                continue
            part = _part(message, names)
            last = kept[-1] if kept else None
            if isinstance(last, ModelRequest) and _joins(last.parts[-1], part):
                kept[-1] = ModelRequest(parts=[*last.parts, part])
            else:
                kept.append(ModelRequest(parts=[part]))
        return kept

    def dump(self, native: Sequence[Any]) -> list[Message]:
        found = []
        for message in native:
            if isinstance(message, ModelResponse):
                calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
                text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
                asked = tuple(ToolCall(call.tool_call_id, call.tool_name, _arguments(call)) for call in calls)
                found.append(Message("assistant", text, asked))
            else:
                found.extend(map(_message, message.parts))
        return found


def _arguments(call: ToolCallPart) -> str:
    return call.args if isinstance(call.args, str) else call.args_as_json_str()


def _response(message: Message) -> ModelResponse:
    text = [TextPart(message.content)] if message.content or not message.tool_calls else []
    calls = [ToolCallPart(call.name, call.arguments, tool_call_id=call.id) for call in message.tool_calls]
    return ModelResponse(parts=[*text, *calls])


def _part(message: Message, names: dict[str, str]) -> Any:
    if message.role == "tool":
        call = message.tool_call_id or ""
        return ToolReturnPart(names.get(call, UNKNOWN), message.content, tool_call_id=call)
    return (SystemPromptPart if message.role == "system" else UserPromptPart)(message.content)


def _joins(last: Any, part: Any) -> bool:
    if isinstance(part, ToolReturnPart):
        return isinstance(last, ToolReturnPart)
    return isinstance(last, SystemPromptPart)


def _message(part: Any) -> Message:
    if isinstance(part, SystemPromptPart):
        return Message("system", part.content)
    if isinstance(part, UserPromptPart):
        return Message("user", str(part.content))
    return Message("tool", str(part.content), tool_call_id=part.tool_call_id)


class RunCodec(Codec):
    """As an agent's run is given a history: it has to end with what the model is to answer."""

    def load(self, messages: Sequence[Message]) -> list[Any]:
        if messages and messages[-1].role == "assistant":
            raise NotRepresentable("a run begins with something to answer")
        return super().load(messages)


def requests(messages: Sequence[Message]) -> float:
    """Return the number of requests and responses that *messages* are."""
    return len(Codec().load(messages))


def keep_last(limit: int) -> Trimmer:
    """Keep the last *limit* messages: the processor of Pydantic AI's docs."""
    return lambda history: history[-limit:]


def in_agent(limit: int) -> Trimmer:
    """Run an agent with that processor on the history, and look at what its model gets."""
    seen: list[ModelMessage] = []

    def answer(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        seen[:] = messages
        return ModelResponse(parts=[TextPart("done")])

    agent = Agent(FunctionModel(answer), capabilities=[ProcessHistory(keep_last(limit))])

    async def trim(history: list[ModelMessage]) -> list[ModelMessage]:
        seen.clear()
        await agent.run(None, message_history=history)
        return list(seen)

    return trim


def windowed(limit: int) -> Trimmer:
    """Compact to *limit* messages with the harness's sliding window: the user's first one, and the tail."""
    window: Any = SlidingWindowCompaction(max_messages=limit, keep_messages=max(1, limit - 1))

    async def trim(history: list[ModelMessage]) -> list[ModelMessage]:
        context = RunContext[None](deps=None, model=TestModel(), usage=RunUsage())
        return list(await window.compact(list(history), context))

    return trim


SUBJECTS = (
    Subject(
        name="history processor (keep last n)",
        make=keep_last,
        contract=contract_in(requests),
        codec=Codec(),
        packages=SLIM,
    ),
    Subject(
        name="history processor in Agent.run",
        make=in_agent,
        contract=contract_in(requests, mode="view"),
        codec=RunCodec(),
        packages=SLIM,
        slow=True,
    ),
    Subject(
        name="SlidingWindowCompaction",
        make=windowed,
        contract=contract_in(requests, pins=("first_user",)),
        codec=Codec(),
        packages=HARNESS,
    ),
)
