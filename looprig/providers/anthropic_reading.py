"""Anthropic's entries in looprig's words, and the other way round."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from looprig.messages import Message, ToolCall
from looprig.providers.anthropic_items import Item, RedactedThinking, Text, Thinking, ToolResult, ToolUse
from looprig.providers.anthropic_wire import MALFORMED, input_of


def system_of(system: Any) -> list[Message]:
    """Return the message of the top-level ``system``, or none where it says nothing."""
    text = system if isinstance(system, str) else _joined(system or ())
    return [Message(role="system", content=text)] if text else []


def messages_of(items: Iterable[Item]) -> list[Message]:
    """Return what *items* say. A result is a message, and so is each run of text between results."""
    found: list[Message] = []
    for item in items:
        content = item.content
        if isinstance(content, str):
            found.append(Message(role=item.role, content=content))
        elif item.role == "assistant":
            found.append(_assistant(content))
        else:
            found += _others(item)
    return found


def _assistant(content: list[Any]) -> Message:
    calls = tuple(
        ToolCall(id=block.id, name=block.name, arguments=arguments_of(block.input))
        for block in content
        if block.__class__ is ToolUse
    )
    return Message(role="assistant", content=_run(content), tool_calls=calls)


def _others(item: Item) -> list[Message]:
    found: list[Message] = []
    run: list[Any] = []
    for block in item.content:
        if isinstance(block, ToolResult):
            if run:
                found.append(Message(role=item.role, content=_run(run)))
                run = []
            text = block.content if isinstance(block.content, str) else _joined(block.content or ())
            found.append(Message(role="tool", content=text, tool_call_id=block.tool_use_id))
        else:
            run.append(block)
    if run or not found:
        found.append(Message(role=item.role, content=_run(run)))
    return found


def _run(blocks: list[Any]) -> str:
    """Join blocks as `looprig.messages` joins parts; calls and thoughts are no part of a text."""
    return "".join(
        block.text if block.__class__ is Text else f"<{block.__struct_config__.tag}>"
        for block in blocks
        if block.__class__ not in _UNSAID
    )


def _joined(parts: Iterable[dict[str, Any]]) -> str:
    return "".join(part["text"] if "text" in part else f"<{part.get('type')}>" for part in parts)


def arguments_of(values: dict[str, Any]) -> str:
    """Return a call's arguments as text, written as looprig's scripted model writes them."""
    if values.keys() == {MALFORMED} and isinstance(values[MALFORMED], str):
        return str(values[MALFORMED])
    return json.dumps(values)


def spelled(message: Message) -> Item | None:
    """Return *message* as an entry; None for a system message, which stands apart."""
    if message.role == "system":
        return None
    if message.role == "tool":
        return Item("user", [ToolResult(tool_use_id=message.tool_call_id or "", content=message.content)])
    if not message.tool_calls:
        return Item(message.role, message.content)
    text = [Text(text=message.content)] if message.content else []
    calls = [ToolUse(id=call.id, name=call.name, input=input_of(call.arguments)) for call in message.tool_calls]
    return Item("assistant", [*text, *calls])


_UNSAID = (ToolUse, Thinking, RedactedThinking)
