"""A second opinion: the providers' rules of order, in the plain words of the study of trimmers.

They are right for messages of text, calls and results in which no call asks for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from looprig.messages import Message


def openai_refuses(messages: Sequence[Message]) -> str | None:
    """Say why OpenAI Chat Completions would refuse *messages*; None where it would not."""
    if not messages:
        return "the list is empty"
    return _unpaired(messages)


def anthropic_refuses(messages: Sequence[Message]) -> str | None:
    """Say why Anthropic Messages would refuse *messages*; system messages go apart there."""
    talk = [message for message in messages if message.role != "system"]
    if not talk:
        return "the list is empty"
    if talk[0].role != "user":
        return f"it starts with {_named(talk[0])}"
    unpaired = _unpaired(talk)
    if unpaired is not None:
        return unpaired
    ids = [call.id for message in talk for call in message.tool_calls]
    if len(set(ids)) < len(ids):
        return "two calls have the same id"
    return "it ends in an answer" if talk[-1].role == "assistant" else None


def gemini_refuses(messages: Sequence[Message]) -> str | None:
    """Say why Gemini would refuse *messages*; system messages go apart there."""
    talk = [message for message in messages if message.role != "system"]
    if not talk:
        return "the list is empty"
    unpaired = _unpaired(talk)
    if unpaired is not None:
        return unpaired
    for before, message in zip([None, *talk], talk, strict=False):
        if message.tool_calls and (before is None or before.role not in ("user", "tool")):
            return "a call follows neither a user message nor a result"
    return None if talk[-1].role in ("user", "tool") else f"it ends in {_named(talk[-1])}"


def _unpaired(messages: Sequence[Message]) -> str | None:
    """Look for a result that is not directly behind its call, and for a call whose results are not all there."""
    open_ids: list[str] = []
    for message in messages:
        if message.role == "tool":
            if message.tool_call_id not in open_ids:
                return f"the result of {message.tool_call_id} is not behind its call"
            open_ids.remove(message.tool_call_id)
            continue
        if open_ids:
            return f"{open_ids[0]} has no result directly behind its call"
        open_ids = [call.id for call in message.tool_calls]
    return f"{open_ids[0]} has no result" if open_ids else None


def _named(message: Message) -> str:
    if message.tool_calls:
        return "a call"
    return {"system": "a system message", "user": "a user message", "assistant": "an answer", "tool": "a result"}[
        message.role
    ]
