"""What the events of a service mean: looprig's own service, and OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from looprig.load.turns import End, Event, Reasoning, Text, ToolCall, ToolResult, TurnFailed, end_of

from ._sse import ServerEvent


def session_events(events: Iterable[ServerEvent]) -> Iterator[Event]:
    """Yield what `looprig serve loop` streams in a turn.

    Raises:
        TurnFailed: for an event `error`, one that is not JSON, and a stream without its event `end`.
    """
    for name, data in events:
        body = _json(data)
        if name == "text":
            yield Text(_text(body, "delta"))
        elif name == "reasoning":
            yield Reasoning(_text(body, "delta"))
        elif name == "tool_call":
            yield ToolCall(_text(body, "name"))
        elif name == "tool_result":
            yield ToolResult(_text(body, "name"))
        elif name == "error":
            raise TurnFailed(f"error {_text(body, 'type')}", _text(body, "message"))
        elif name == "end":
            yield end_of(body)
            return
    raise TurnFailed("no end marker", "the stream ended with neither end nor error")


def completion_events(events: Iterable[ServerEvent]) -> Iterator[Event]:
    """Yield what a streamed chat completion brings; a tool call is complete when the model says why it stopped.

    Raises:
        TurnFailed: for an error in the stream, data that is not JSON, and a stream without ``[DONE]``.
    """
    calls: dict[int, str] = {}
    usage: dict[str, Any] = {}
    for _, data in events:
        if data == "[DONE]":
            yield from map(ToolCall, calls.values())
            yield end_of({"input_tokens": usage.get("prompt_tokens"), "output_tokens": usage.get("completion_tokens")})
            return
        body = _json(data)
        if (error := body.get("error")) is not None:
            kind = _text(error, "type") if isinstance(error, dict) else ""
            raise TurnFailed(f"error {kind}".strip(), str(error)[:200])
        usage = body["usage"] if isinstance(body.get("usage"), dict) else usage
        for choice in body.get("choices") or ():
            yield from _delta(choice.get("delta") or {}, calls)
            if choice.get("finish_reason"):
                yield from map(ToolCall, calls.values())
                calls.clear()
    raise TurnFailed("no end marker", "the stream ended without [DONE]")


def _delta(delta: dict[str, Any], calls: dict[int, str]) -> Iterator[Event]:
    """Yield the content of one chunk, and note in *calls* the tool calls that it begins, by index."""
    if thought := delta.get("reasoning_content") or delta.get("reasoning"):
        yield Reasoning(str(thought))
    if said := delta.get("content"):
        yield Text(str(said))
    for call in delta.get("tool_calls") or ():
        name = (call.get("function") or {}).get("name") or ""
        calls[call.get("index", 0)] = calls.get(call.get("index", 0), "") + name


def _json(data: str) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise TurnFailed("unreadable event", f"{error}: {data[:80]}") from error
    if not isinstance(body, dict):
        raise TurnFailed("unreadable event", f"no object: {data[:80]}")
    return body


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


__all__ = ["End", "completion_events", "session_events"]
