"""Anthropic's entries in looprig's words, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from looprig.messages import Message, ToolCall
from looprig.providers.anthropic_items import Item, RedactedThinking, Text, Thinking, ToolResult, ToolUse, bad
from looprig.providers.arguments import text_of
from looprig.providers.base import Refused


def system_of(system: Any) -> list[Message]:
    """Return the message of the top-level ``system``, or none where it says nothing."""
    text = system if isinstance(system, str) else _joined(system or ())
    return [Message(role="system", content=text)] if text else []


def messages_of(items: Sequence[Item], first: int = 0) -> list[Message]:
    """Return what *items* say; the first is number *first*.

    A result is a message, and so is each run of text between results.

    Raises:
        Refused: where the input of a call is no object.
    """
    found: list[Message] = []
    for number, item in enumerate(items, first):
        role, content = item.role, item.content
        if content.__class__ is str:
            found.append(Message(role, content))
        elif role == "assistant":
            found.append(_assistant(content, number))
        elif len(content) == 1 and content[0].__class__ is ToolResult:
            found.append(_result(content[0]))
        elif content or role == "user":  # a system message without content only directs
            found += _others(item)
    return found


def _assistant(content: Sequence[Any], number: int) -> Message:
    text, calls = "", []
    for block in content:
        if block.__class__ is ToolUse:
            try:
                calls.append(ToolCall(block.id, block.name, text_of(bytes(block.input))))
            except msgspec.DecodeError:
                place = f"messages.{number}.content.{content.index(block)}.tool_use.input"
                raise Refused(bad("A0", f"{place}: Input should be a valid dictionary", pinned=False)) from None
        else:
            text += _part(block)
    return Message("assistant", text, tuple(calls))


def _result(block: ToolResult) -> Message:
    content = block.content
    return Message("tool", content if isinstance(content, str) else _joined(content or ()), (), block.tool_use_id)


def _others(item: Item) -> list[Message]:
    found: list[Message] = []
    text, open_ = "", not item.content
    for block in item.content:
        if isinstance(block, ToolResult):
            if open_:
                found.append(Message(item.role, text))
                text, open_ = "", False
            found.append(_result(block))
        else:
            text, open_ = text + _part(block), True
    if open_:
        found.append(Message(item.role, text))
    return found


def _part(block: Any) -> str:
    """Return a block as `looprig.messages` says a part of a content; calls and thoughts are no part of a text."""
    kind = block.__class__
    if kind is Text:
        return block.text  # type: ignore[no-any-return]
    return "" if kind in _UNSAID else f"<{block.__struct_config__.tag}>"


def _joined(parts: Iterable[dict[str, Any]]) -> str:
    return "".join(str(part["text"]) if "text" in part else f"<{part.get('type')}>" for part in parts)


def spelled(message: Message) -> Item | None:
    """Return *message* as an entry; None for a system message, which stands apart. No rule asks for a call's input."""
    if message.role == "system":
        return None
    if message.role == "tool":
        return Item("user", [ToolResult(tool_use_id=message.tool_call_id or "", content=message.content)])
    if not message.tool_calls:
        return Item(message.role, message.content)
    text = [Text(text=message.content)] if message.content else []
    calls = [ToolUse(id=call.id, name=call.name, input=_NO_INPUT) for call in message.tool_calls]
    return Item("assistant", [*text, *calls])


_UNSAID = (ToolUse, Thinking, RedactedThinking)
_NO_INPUT = msgspec.Raw(b"{}")
