"""LlamaIndex: ``ChatMemoryBuffer``, a view over a growing store, and ``Memory``, which trims as it is filled."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock
from llama_index.core.memory import ChatMemoryBuffer, Memory
from sqlalchemy.ext.asyncio import create_async_engine

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import Subject, Trimmer, contract_in
from looprig.trimmers.frameworks._shape import Calls, FrameworkCodec, Kept, inputs, quarter, spelled

PACKAGES = ("llama-index-core",)


def to_native(message: Message, _calls: Calls) -> ChatMessage:
    """Return a message as LlamaIndex's; which call a result answers stands in its additional arguments."""
    blocks = [TextBlock(text=message.content)] if message.content or not message.tool_calls else []
    calls = [
        ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=inputs(call))
        for call in message.tool_calls
    ]
    more = {} if message.tool_call_id is None else {"tool_call_id": message.tool_call_id}
    return ChatMessage(role=message.role, blocks=[*blocks, *calls], additional_kwargs=more)


def to_messages(native: ChatMessage) -> Sequence[Message]:
    """Return one of LlamaIndex's messages as ours."""
    calls = tuple(
        ToolCall(block.tool_call_id or "", block.tool_name, spelled(block.tool_kwargs))
        for block in native.blocks
        if isinstance(block, ToolCallBlock)
    )
    text = "".join(block.text for block in native.blocks if isinstance(block, TextBlock))
    answers = native.additional_kwargs.get("tool_call_id")
    return (Message(native.role.value, text, calls, answers),)


CODEC = FrameworkCodec(to_native, to_messages)


def buffered(limit: int) -> Trimmer:
    """Put everything into a buffer of *limit* tokens, and look at what it shows."""

    kept = Kept(
        lambda history: ChatMemoryBuffer.from_defaults(
            chat_history=list(history), token_limit=limit, tokenizer_fn=quarter
        )
    )
    return lambda history: list(kept.of(history).get())


def remembered(limit: int) -> Trimmer:
    """Put message after message into a memory of *limit* tokens, and ask what it remembers."""

    async def trim(history: list[ChatMessage]) -> list[ChatMessage]:
        engine = create_async_engine("sqlite+aiosqlite:///:memory:")  # its own engine would leave a thread behind
        memory = Memory.from_defaults(
            session_id="one",
            token_limit=limit,
            chat_history_token_ratio=1.0,  # all of it is for messages, since there are no memory blocks
            token_flush_size=max(1, limit // 10),
            tokenizer_fn=quarter,
            async_engine=engine,
        )
        try:
            for message in history:
                await memory.aput(message)
            return list(await memory.aget())
        finally:
            await engine.dispose()

    return trim


SUBJECTS = (
    Subject(
        name="ChatMemoryBuffer",
        make=buffered,
        contract=contract_in("tokens", mode="view"),
        codec=CODEC,
        packages=PACKAGES,
    ),
    Subject(
        name="Memory",
        make=remembered,
        contract=contract_in("tokens"),
        codec=CODEC,
        packages=PACKAGES,
        slow=True,
    ),
)
