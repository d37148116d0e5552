"""Gemini's contents in looprig's words, and the other way round."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from looprig.messages import Message, ToolCall
from looprig.providers.arguments import text_of
from looprig.providers.base import Refused
from looprig.providers.gemini_items import Call, Content, Part, Response, invalid


def system_of(instruction: Any) -> list[Message]:
    """Return the message of a ``systemInstruction``, or none where it says nothing."""
    if isinstance(instruction, str):
        text = instruction
    else:
        parts = instruction.get("parts") if isinstance(instruction, dict) else None
        listed = [parts] if isinstance(parts, dict) else parts if isinstance(parts, list) else []
        text = "".join(str(part.get("text", "")) for part in listed if isinstance(part, dict))
    return [Message(role="system", content=text)] if text else []


class Reader:
    """Reads contents, and finds for each response the call that it answers.

    By its id where it has one, else by the name, in order. A call without an id gets one from its number, since the
    models that give none are still asked about pairs.
    """

    def __init__(self, number: int = 0, open_: Sequence[Call] = ()) -> None:
        self.number = number
        self.open = _named(open_, number - 1)

    def messages_of(self, contents: Iterable[Content]) -> list[Message]:
        """Return what *contents* say. A response is a message, and so is each run of text between responses.

        Raises:
            Refused: where the arguments of a call are no object.
        """
        found: list[Message] = []
        for content in contents:
            parts = content.parts or []
            if content.role == "model":
                found.append(self._model(parts))
            else:
                alone = parts[0] if len(parts) == 1 and parts[0].text is None else None
                if alone is not None and (response := alone.function_response) is not None:
                    found.append(Message("tool", said_in(response.response or {}), (), self._answered(response)))
                else:
                    found += self._others(parts)
                self.open = []
            self.number += 1
        return found

    def _model(self, parts: list[Part]) -> Message:
        text, calls = "", []
        for part in parts:
            if part.text is not None:
                if not part.thought:
                    text += part.text
            elif (call := part.function_call or part.function_call_) is not None:
                calls.append(call)
            else:
                text += _text(part)
        if not calls:
            self.open = []
            return Message("assistant", text)
        self.open = _named(calls, self.number)
        try:
            asked = [ToolCall(id_, call.name, _arguments(call)) for id_, call in self.open]
        except msgspec.DecodeError:
            place = f"contents[{self.number}]"
            raise Refused(invalid("G0", f"Invalid value at '{place}': args is no object", pinned=False)) from None
        return Message("assistant", text, tuple(asked))

    def _others(self, parts: list[Part]) -> list[Message]:
        found: list[Message] = []
        text, open_ = "", not parts
        for part in parts:
            response = None if part.text is not None else part.response
            if response is None:
                text, open_ = text + _text(part), True
                continue
            if open_:
                found.append(Message("user", text))
                text, open_ = "", False
            found.append(Message("tool", said_in(response.response or {}), (), self._answered(response)))
        if open_:
            found.append(Message("user", text))
        return found

    def _answered(self, response: Response) -> str:
        """Return the id of the call that *response* answers, and take the call from those that are open."""
        if response.id:
            if len(self.open) > 1:
                self.open = [pair for pair in self.open if pair[0] != response.id]
            return response.id
        for number, (id_, call) in enumerate(self.open):
            if call.name == response.name:
                del self.open[number]
                return id_
        return self.open.pop(0)[0] if self.open else ""


def _named(calls: Iterable[Call], content: int) -> list[tuple[str, Call]]:
    return [(call.id or f"call_{content}_{number}", call) for number, call in enumerate(calls)]


def _text(part: Part) -> str:
    if part.text is not None:
        return "" if part.thought else part.text
    if part.inline_data is not None or part.inline_data_ is not None:
        return "<inlineData>"
    return "<fileData>" if part.file_data is not None or part.file_data_ is not None else ""


def said_in(response: dict[str, Any]) -> str:
    """Return a response as text: where it is one text under one key, as the clients wrap what a tool returns, that."""
    if len(response) == 1:
        for value in response.values():
            if value.__class__ is str:
                return value
    return json.dumps(response)


def _arguments(call: Call) -> str:
    raw = bytes(call.args)
    return "{}" if raw in (b"{}", b"null") else text_of(raw)


def spelled(messages: Iterable[Message]) -> list[Content]:
    """Return *messages* as contents: the results of a round are one. A system message stands apart, and is left out.

    A call without a name gets one: that the model asked for nothing in particular is not the loop's doing.
    """
    contents: list[Content] = []
    before = ""
    for message in messages:
        if message.role == "tool":
            part = Part(function_response=Response("tool", {"result": message.content}, message.tool_call_id))
            if before == "tool" and contents[-1].parts is not None:
                contents[-1].parts.append(part)
            else:
                contents.append(Content("user", [part]))
        elif message.role != "system":
            text = [Part(text=message.content)] if message.content or not message.tool_calls else []
            calls = [Part(function_call=Call(name=call.name or "nameless", id=call.id)) for call in message.tool_calls]
            contents.append(Content("model" if message.role == "assistant" else "user", [*text, *calls]))
        before = message.role if message.role != "system" else before
    return contents
