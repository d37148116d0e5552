"""Strands: the sliding window of an agent's conversation, which edits the agent's messages in place."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from strands.agent.conversation_manager import SlidingWindowConversationManager

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import NotRepresentable, Subject, Trimmer, contract_in
from looprig.trimmers.frameworks._shape import Calls, FrameworkCodec, batched_messages, inputs, spelled

PACKAGES = ("strands-agents",)


def to_native(message: Message, _calls: Calls) -> dict[str, Any]:
    """Return a message in the form of Bedrock's Converse; the system prompt stands elsewhere."""
    if message.role == "system":
        raise NotRepresentable("Strands keeps the system prompt apart from the messages")
    text = [{"text": message.content}] if message.content or not message.tool_calls else []
    calls = [
        {"toolUse": {"toolUseId": call.id, "name": call.name, "input": inputs(call)}} for call in message.tool_calls
    ]
    return {"role": message.role, "content": [*text, *calls]}


def results(messages: Sequence[Message], _calls: Calls) -> dict[str, Any]:
    """Return the results of a batch as the one user message that they are."""
    return {
        "role": "user",
        "content": [
            {"toolResult": {"toolUseId": one.tool_call_id, "status": "success", "content": [{"text": one.content}]}}
            for one in messages
        ],
    }


def to_messages(native: dict[str, Any]) -> Sequence[Message]:
    """Return one of Converse's messages as ours."""
    answered = [part["toolResult"] for part in native["content"] if "toolResult" in part]
    if answered:
        return tuple(
            Message("tool", "".join(part["text"] for part in one["content"]), tool_call_id=one["toolUseId"])
            for one in answered
        )
    used = [part["toolUse"] for part in native["content"] if "toolUse" in part]
    calls = tuple(ToolCall(one["toolUseId"], one["name"], spelled(one["input"])) for one in used)
    return (Message(native["role"], "".join(part.get("text", "") for part in native["content"]), calls),)


CODEC = FrameworkCodec(to_native, to_messages, results)


def windowed(limit: int) -> Trimmer:
    """Let the manager look after an agent with this history."""
    manager = SlidingWindowConversationManager(window_size=limit)

    def trim(history: list[dict[str, Any]]) -> None:
        agent: Any = SimpleNamespace(messages=history)
        manager.apply_management(agent)
        history[:] = agent.messages

    return trim


SUBJECTS = (
    Subject(
        name="SlidingWindowConversationManager",
        make=windowed,
        contract=contract_in(batched_messages, mode="inplace", system_apart=True),
        codec=CODEC,
        packages=PACKAGES,
    ),
)
