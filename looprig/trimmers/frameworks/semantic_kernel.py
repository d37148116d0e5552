"""Semantic Kernel: the truncation reducer, which is a chat history and edits itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from semantic_kernel.contents import (
    ChatHistoryTruncationReducer,
    ChatMessageContent,
    FunctionCallContent,
    FunctionResultContent,
    TextContent,
)

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import Subject, Trimmer, contract_in
from looprig.trimmers.frameworks._shape import Calls, FrameworkCodec, name_of

PACKAGES = ("semantic-kernel",)


def to_native(message: Message, calls: Calls) -> ChatMessageContent:
    """Return a message as Semantic Kernel's."""
    if message.role == "tool":
        name = name_of(message, calls)
        result = FunctionResultContent(id=message.tool_call_id, name=name, result=message.content)
        return ChatMessageContent(role="tool", items=[result])
    items = [TextContent(text=message.content)] if message.content or not message.tool_calls else []
    asked = [FunctionCallContent(id=call.id, name=call.name, arguments=call.arguments) for call in message.tool_calls]
    return ChatMessageContent(role=message.role, items=[*items, *asked])


def to_messages(native: ChatMessageContent) -> Sequence[Message]:
    """Return one of Semantic Kernel's messages as ours."""
    calls, text, answers = [], "", None
    for item in native.items:
        if isinstance(item, FunctionCallContent):
            calls.append(ToolCall(item.id or "", item.name or "", str(item.arguments)))
        elif isinstance(item, FunctionResultContent):
            text, answers = str(item.result), item.id
        else:
            text += str(item)
    return (Message(native.role.value, text, tuple(calls), answers),)


CODEC = FrameworkCodec(to_native, to_messages)


def reduced(target: Callable[[int], int]) -> Callable[[int], Trimmer]:
    """Return a factory of trimmers that reduce to *target* messages once there are more than the limit."""

    def make(limit: int) -> Trimmer:
        async def trim(history: list[ChatMessageContent]) -> None:
            kept = ChatHistoryTruncationReducer(target_count=target(limit), threshold_count=limit - target(limit))
            kept.messages = history
            await kept.reduce()
            history[:] = kept.messages

        return trim

    return make


SUBJECTS = tuple(
    Subject(
        name=name,
        make=reduced(target),
        contract=contract_in("messages", mode="inplace"),
        codec=CODEC,
        packages=PACKAGES,
    )
    for name, target in (
        ("ChatHistoryTruncationReducer", lambda limit: limit),
        ("ChatHistoryTruncationReducer (threshold)", lambda limit: max(1, limit // 2)),
    )
)
