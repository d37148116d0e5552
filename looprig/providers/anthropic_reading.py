"""Anthropic's entries in looprig's words, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from looprig.messages import Message, ToolCall
from looprig.providers.anthropic_items import Item, RedactedThinking, Text, Thinking, ToolResult, ToolUse
from looprig.providers.arguments import object_of, text_of


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
    text, calls = "", []
    for block in content:
        if block.__class__ is ToolUse:
            calls.append(ToolCall(block.id, block.name, text_of(block.input)))
        else:
            text += _part(block)
    return Message("assistant", text, tuple(calls))


def _others(item: Item) -> list[Message]:
    found: list[Message] = []
    text, open_ = "", not item.content
    for block in item.content:
        if isinstance(block, ToolResult):
            if open_:
                found.append(Message(item.role, text))
                text, open_ = "", False
            said = block.content if isinstance(block.content, str) else _joined(block.content or ())
            found.append(Message("tool", said, (), block.tool_use_id))
        else:
            text, open_ = text + _part(block), True
    if open_:
        found.append(Message(item.role, text))
    return found


def _part(block: Any) -> str:
    """Return a block as `looprig.messages` says a part of a content; calls and thoughts are no part of a text."""
    kind = block.__class__
    if kind is Text:
        return str(block.text)
    return "" if kind in _UNSAID else f"<{block.__struct_config__.tag}>"


def _joined(parts: Iterable[dict[str, Any]]) -> str:
    return "".join(part["text"] if "text" in part else f"<{part.get('type')}>" for part in parts)


def spelled(message: Message) -> Item | None:
    """Return *message* as an entry; None for a system message, which stands apart."""
    if message.role == "system":
        return None
    if message.role == "tool":
        return Item("user", [ToolResult(tool_use_id=message.tool_call_id or "", content=message.content)])
    if not message.tool_calls:
        return Item(message.role, message.content)
    text = [Text(text=message.content)] if message.content else []
    calls = [ToolUse(id=call.id, name=call.name, input=object_of(call.arguments)) for call in message.tool_calls]
    return Item("assistant", [*text, *calls])


_UNSAID = (ToolUse, Thinking, RedactedThinking)
