"""Any function as a loop: it gets the conversation, the model and the tools, and returns the answer.

For code without a class of its own::

    def run(messages, model, tools):     # or async def
        ...
        return answer

    looprig run --loop looprig.adapters.plain:make,function=app.chat:run

Messages are chat-completions dicts. The function finds the user's message at the end of the list and may extend the
list; what it appends is there in the next turn. Where it returns a list, that is the conversation from then on.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from typing import Any

from looprig.adapters import chat
from looprig.loop import Model, Tools

FRAMEWORK = "plain"
PACKAGES: tuple[str, ...] = ()
EXTRA = "plain"

Function = Callable[[list[chat.Chat], Model, Tools], Any]


def make(model: Model, tools: Tools, *, function: str | Function | None = None) -> Loop:
    """Return a conversation that *function*, or what it names as ``module:name``, leads; `run` where there is none."""
    found = _named(function) if isinstance(function, str) else function or run
    return AsyncLoop(model, tools, found) if inspect.iscoroutinefunction(found) else Loop(model, tools, found)


def _named(text: str) -> Function:
    module, colon, name = text.partition(":")
    if not colon:
        raise ValueError(f"function={text!r} names no function: write function=module:name")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"function={text!r} is {type(found).__name__}, which cannot be called")
    function: Function = found
    return function


class Loop:
    """A conversation that a function leads."""

    def __init__(self, model: Model, tools: Tools, function: Function) -> None:
        self._model, self._tools, self._function = model, tools, function
        self.history: list[chat.Chat] = []

    def add_system(self, text: str) -> None:
        self.history.append(chat.said("system", text))

    def send(self, text: str) -> object:
        self.history.append(chat.said("user", text))
        return self._take(self._function(self.history, self._model, self._tools))

    def _take(self, answer: object) -> object:
        if isinstance(answer, list):
            self.history = answer
        return answer


class AsyncLoop(Loop):
    """The same with a coroutine function."""

    async def send(self, text: str) -> object:
        self.history.append(chat.said("user", text))
        return self._take(await self._function(self.history, self._model, self._tools))


def run(messages: list[chat.Chat], model: Model, tools: Tools) -> str:
    """Play one turn the shortest way: ask, run each call in turn, ask again."""
    while True:
        reply = model.complete(messages)
        messages.append(reply)
        if not reply.get("tool_calls"):
            return str(reply["content"])
        messages.extend(chat.result(call.id, _result(tools, call)) for call in chat.calls_of(reply))


def _result(tools: Tools, call: chat.Call) -> str:
    try:
        arguments = json.loads(call.arguments or "{}")
        if not isinstance(arguments, dict):
            raise TypeError("the arguments of a call are a JSON object")
        return chat.shown(tools[call.name].run(arguments))
    except Exception as error:  # whatever it is, the model is told
        return f"{type(error).__name__}: {error}"
