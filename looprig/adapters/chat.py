"""Chat-completions dicts, which the adapters hand to looprig's model whatever their framework speaks.

Frameworks that parse a call's arguments write them again for the model; so do the adapters, as Python's `json`
writes them, which is how looprig's model wrote them in the first place: what was not changed stays equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Chat = dict[str, Any]
"""One message as a chat-completions dict."""

BETWEEN = "\n\n"
"""Stands between system texts in a framework that knows one system prompt."""


class Call(NamedTuple):
    """One tool call: its id, the tool's name, and the arguments as the JSON text that the model wrote."""

    id: str
    name: str
    arguments: str

    def parsed(self) -> dict[str, Any]:
        """Return the arguments as values.

        Raises:
            ValueError: where the model wrote no JSON object; frameworks that want values cannot take it.
        """
        arguments = json.loads(self.arguments)
        if not isinstance(arguments, dict):
            raise ValueError(f"the model wrote the arguments {self.arguments!r:.80}, which are no JSON object")
        return arguments


def systems(prompt: str | None) -> list[Chat]:
    """Return a framework's one system prompt as the system messages that the application added to it."""
    return [{"role": "system", "content": text} for text in (prompt or "").split(BETWEEN) if text]


def said(role: str, text: str) -> Chat:
    return {"role": role, "content": text}


def asked(text: str, calls: Sequence[Call]) -> Chat:
    """Return a model's message with its calls."""
    asks = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]
    return {"role": "assistant", "content": text, "tool_calls": asks} if asks else said("assistant", text)


def result(call_id: str | None, text: str) -> Chat:
    return {"role": "tool", "content": text, "tool_call_id": call_id}


def calls_of(reply: Mapping[str, Any]) -> Iterator[Call]:
    """Yield the calls of a message of looprig's model."""
    for call in reply.get("tool_calls", ()):
        yield Call(call["id"], call["function"]["name"], call["function"]["arguments"])


def written(arguments: object) -> str:
    """Return a call's arguments as JSON text, where a framework keeps them parsed."""
    return json.dumps({} if arguments is None else arguments, default=repr)


def shown(value: object) -> str:
    """Return what a tool gave as the text that the model reads: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=repr)


async def run(tool: Any, arguments: object) -> str:
    """Run one of looprig's tools as a framework's function would be run, and return its result as text.

    Raises:
        TypeError: where the arguments are no JSON object; frameworks that check them say so to the model.
    """
    if not isinstance(arguments, Mapping):
        raise TypeError(f"{tool.name} takes a JSON object of arguments, not {type(arguments).__name__}")
    return shown(await tool.arun(dict(arguments)))
