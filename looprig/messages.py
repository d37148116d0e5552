"""The values of a conversation: messages and tool calls, in the chat-completions vocabulary.

This is the one module that the reference loop shares with the harness.
Both kinds are frozen: what was recorded cannot change under the reader's hands, and
two histories can be compared with ``==``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

Role = Literal["system", "user", "assistant", "tool"]

ROLES: tuple[str, ...] = get_args(Role)


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """A model's request to run one tool.

    ``arguments`` is the JSON text that the model wrote, as in the chat-completions
    format: it may be malformed, and a loop must cope with that.
    """

    id: str
    name: str
    arguments: str = "{}"

    def to_dict(self) -> dict[str, Any]:
        """Return the call as a chat-completions ``tool_calls`` entry."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


class Message(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One entry of a conversation.

    ``tool_calls`` is only set on assistant messages, ``tool_call_id`` only on tool
    results. ``name`` is the optional participant name of the chat-completions format;
    a loop that adds messages of its own (a summary, a retrieved context) names them,
    and declares the name in its contract (see `looprig.loop.Contract`).
    """

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the message as a chat-completions dict, without the keys that are empty."""
        entry: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            entry["tool_calls"] = [call.to_dict() for call in self.tool_calls]
        if self.tool_call_id is not None:
            entry["tool_call_id"] = self.tool_call_id
        if self.name is not None:
            entry["name"] = self.name
        return entry


History = Sequence[Message]


def message_from_dict(entry: Mapping[str, Any]) -> Message:
    """Read a chat-completions dict; keys that the format does not know are passed over.

    Raises:
        ValueError: with what is wrong, where the entry is not a chat message.
    """
    role = entry.get("role")
    if role == "developer":  # OpenAI's newer word for the same thing
        role = "system"
    if role not in ROLES:
        raise ValueError(f"a message's role is one of {', '.join(ROLES)}; this one is {role!r}")
    return Message(
        role=_plain(role),  # type: ignore[arg-type]
        content=_text(entry.get("content")),
        tool_calls=_calls(entry.get("tool_calls")),
        tool_call_id=_optional_text("message", "tool_call_id", entry),
        name=_optional_text("message", "name", entry),
    )


def _optional_text(what: str, key: str, entry: Mapping[str, Any]) -> str | None:
    text = entry.get(key)
    if text is None:
        return None
    if isinstance(text, str):
        return _plain(text)
    raise ValueError(f"a {what}'s {key} is text; this one is {text!r:.80}")


def _plain(text: str) -> str:
    """Return *text* as a str and nothing more: a framework's subclass of it cannot be recorded."""
    return text if type(text) is str else str.__str__(text)


def _text(content: object) -> str:
    """Join the text parts of a message's content; no content is the empty text."""
    if content is None:
        return ""
    if isinstance(content, str):
        return _plain(content)
    if isinstance(content, Sequence) and not isinstance(content, bytes | bytearray):
        return "".join(_part(part) for part in content)
    raise ValueError(f"a message's content is text or a list of parts, not {type(content).__name__}")


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return _plain(part["text"])
    if isinstance(part, Mapping) and isinstance(part.get("type"), str):
        return f"<{part['type']}>"
    raise ValueError(f"a content part has a text or a type; this one is {part!r:.80}")


def _calls(calls: object) -> tuple[ToolCall, ...]:
    if calls is None:
        return ()
    if isinstance(calls, str | bytes) or not isinstance(calls, Sequence):
        raise ValueError(f"a message's tool_calls are a list, not {type(calls).__name__}")
    return tuple(map(_call, calls))


def _call(call: object) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        raise ValueError(f"a tool call has an id and a function with name and arguments; this one is {call!r:.80}")
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(name, str):
        raise ValueError(f"a tool call's name is text; this one is {name!r:.80}")
    if arguments is not None and not isinstance(arguments, str):
        raise ValueError(f"a tool call's arguments are JSON text; this one has a {type(arguments).__name__}")
    return ToolCall(
        id=_optional_text("tool call", "id", call) or "",
        name=_plain(name),
        arguments="{}" if arguments is None else _plain(arguments),
    )
