"""How Responses says an answer, at once or as events.

A model that reasons says a reasoning item first, which is empty; the ids of what it says behind end with the id of
that item, so that it can be told without any memory which item belongs to which (see `openai_items.thought_of`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looprig.messages import ToolCall
from looprig.providers.base import Answer, Problem, Received, Stream, Usage
from looprig.providers.openai_common import encoded, obfuscation, padding


class Wire:
    """One answer, spelled; ``output`` are its items."""

    def __init__(self, said: Answer, received: Received, *, reasoning: bool) -> None:
        self.said, self.id = said, f"resp_{said.id}"
        self._fields = received.fields
        self._thought = f"rs_{said.id}" if reasoning else None
        self._pieces: list[tuple[str, ...]] = []
        self.output = self._items()

    def _items(self) -> list[dict[str, Any]]:
        """Return the items of the answer, and note in which pieces each is streamed."""
        message, pieces = self.said.message, self.said.pieces or ((),)
        ends = self._thought or self.said.id
        items: list[dict[str, Any]] = []
        if self._thought:
            items.append(self._reasoning())
            self._pieces.append(())
        if message.content or not message.tool_calls:
            items.append(_message_item(f"msg_{ends}", message.content))
            self._pieces.append(pieces[0])
        items += [_call_item(f"fc_{number}_{ends}", call) for number, call in enumerate(message.tool_calls)]
        self._pieces += pieces[1:]
        return items

    def _reasoning(self) -> dict[str, Any]:
        item: dict[str, Any] = {"id": self._thought, "type": "reasoning", "summary": []}
        if "reasoning.encrypted_content" in (self._fields.get("include") or ()):
            item["encrypted_content"] = padding(self.said.id)
        return item

    def answer(self) -> bytes:
        """Return the body of a response."""
        return encoded(self._response(self._status(), self.output, usage_of(self.said.usage)))

    def _status(self) -> str:
        return "incomplete" if self.said.stop == "length" else "completed"

    def _response(self, status: str, output: list[Any], usage: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the response object; what the request said of itself is said again."""
        asked = self._fields.get
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.said.created,
            "status": status,
            "background": bool(asked("background")),
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": asked("instructions"),
            "max_output_tokens": asked("max_output_tokens"),
            "max_tool_calls": asked("max_tool_calls"),
            "model": self.said.model,
            "output": output,
            "parallel_tool_calls": asked("parallel_tool_calls") is not False,
            "previous_response_id": asked("previous_response_id"),
            "prompt_cache_key": asked("prompt_cache_key"),
            "reasoning": asked("reasoning") or {"effort": "medium" if self._thought else None, "summary": None},
            "safety_identifier": asked("safety_identifier"),
            "service_tier": "default",
            "store": asked("store") is not False,
            "temperature": _given(asked("temperature"), 1.0),
            "text": asked("text") or {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": _given(asked("tool_choice"), "auto"),
            "tools": asked("tools") or [],
            "top_logprobs": _given(asked("top_logprobs"), 0),
            "top_p": _given(asked("top_p"), 1.0),
            "truncation": _given(asked("truncation"), "disabled"),
            "usage": usage,
            "user": asked("user"),
            "metadata": asked("metadata") or {},
        }

    # -- events --------------------------------------------------------------------------------------------------------

    def stream(self) -> Stream:
        """Return the events: the response begins, each item begins, grows and is done, the response is completed."""
        options = self._fields.get("stream_options") or {}
        events = _Events(padding(self.said.id), obfuscated=options.get("include_obfuscation") is not False)
        started = encoded(self._response("in_progress", [], None))
        waiting = events.response("response.created", started) + events.response("response.in_progress", started)
        head: bytes | None = None
        deltas: list[bytes] = []
        for index, (item, pieces) in enumerate(zip(self.output, self._pieces, strict=True)):
            waiting += events.opening(index, item)
            if head is None and item["type"] != "reasoning":
                head, waiting = waiting, b""
            made = events.deltas(index, item, pieces)
            if made:
                made[0], waiting = waiting + made[0], b""
            deltas += made
            waiting += events.closing(index, item)
        finished = encoded(self._response(self._status(), self.output, usage_of(self.said.usage)))
        tail = waiting + events.response(f"response.{self._status()}", finished)
        return Stream(head=head or b"", deltas=deltas, tail=tail)


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value


def _message_item(item_id: str, text: str) -> dict[str, Any]:
    return {
        "id": item_id,
        "type": "message",
        "status": "completed",
        "content": [_text_part(text)],
        "role": "assistant",
    }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _call_item(item_id: str, call: ToolCall) -> dict[str, Any]:
    return {
        "id": item_id,
        "type": "function_call",
        "status": "completed",
        "arguments": call.arguments,
        "call_id": call.id,
        "name": call.name,
    }


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return the tokens of a request as this API counts them."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt + usage.completion,
    }


class _Events:
    """Makes the events of one answer; each has the next number."""

    def __init__(self, pad: str, *, obfuscated: bool) -> None:
        self._pad, self._obfuscated, self._number = pad.encode(), obfuscated, -1

    def _event(self, kind: str, /, **rest: Any) -> bytes:
        return self._raw(kind, b",%b" % encoded(rest)[1:])

    def _raw(self, name: str, rest: bytes) -> bytes:
        self._number += 1
        told = name.encode()
        return b'event: %b\ndata: {"type":"%b","sequence_number":%d%b\n\n' % (told, told, self._number, rest)

    def response(self, name: str, response: bytes) -> bytes:
        """Return an event that has the whole response."""
        return self._raw(name, b',"response":%b}' % response)

    def opening(self, index: int, item: Mapping[str, Any]) -> bytes:
        """Return the events with which an item begins, empty."""
        if item["type"] == "reasoning":
            return self._event("response.output_item.added", output_index=index, item=item)
        begun = dict(item)
        begun["status"] = "in_progress"
        begun.update(content=[]) if item["type"] == "message" else begun.update(arguments="")
        added = self._event("response.output_item.added", output_index=index, item=begun)
        if item["type"] != "message":
            return added
        part = self._event(
            "response.content_part.added", item_id=item["id"], output_index=index, content_index=0, part=_text_part("")
        )
        return added + part

    def closing(self, index: int, item: Mapping[str, Any]) -> bytes:
        """Return the events with which an item is done."""
        done = b""
        if item["type"] == "message":
            where = {"item_id": item["id"], "output_index": index, "content_index": 0}
            (part,) = item["content"]
            done += self._event("response.output_text.done", **where, text=part["text"], logprobs=[])
            done += self._event("response.content_part.done", **where, part=part)
        elif item["type"] == "function_call":
            done += self._event(
                "response.function_call_arguments.done",
                item_id=item["id"],
                output_index=index,
                name=item["name"],
                arguments=item["arguments"],
            )
        return done + self._event("response.output_item.done", output_index=index, item=item)

    def deltas(self, index: int, item: Mapping[str, Any], pieces: tuple[str, ...]) -> list[bytes]:
        """Return the events with which an item grows, one for each piece; their equal halves are made once."""
        of_text = item["type"] == "message"
        name = b"response.output_text.delta" if of_text else b"response.function_call_arguments.delta"
        where = b',"item_id":%b,"output_index":%d' % (encoded(item["id"]), index)
        before = b'event: %b\ndata: {"type":"%b","sequence_number":' % (name, name)
        middle = where + (b',"content_index":0' if of_text else b"") + b',"delta":'
        behind = (b',"logprobs":[]' if of_text else b"") + (b',"obfuscation":"' if self._obfuscated else b"}\n\n")
        made = [
            b"%b%d%b%b%b" % (before, number, middle, encoded(piece), behind)
            for number, piece in enumerate(pieces, self._number + 1)
        ]
        if self._obfuscated:
            pads = (obfuscation(self._pad, number, piece) for number, piece in enumerate(pieces, self._number + 1))
            made = [b'%b%b"}\n\n' % pair for pair in zip(made, pads, strict=True)]
        self._number += len(pieces)
        return made


def broken_off(problem: Problem) -> bytes:
    """Return the event of an error in mid-stream, nested, as context overflow and overload are told.

    A flat form is documented too, and clients do not raise for it. Nobody says which number it would have: it is 0.
    """
    error = {"type": problem.type, "code": problem.code, "message": problem.message, "param": problem.param}
    return b"event: error\ndata: %b\n\n" % encoded({"type": "error", "sequence_number": 0, "error": error})
