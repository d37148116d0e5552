"""Loops with a planted fault, each with a twin without it, found by path: ``tests/growth/planted.py:make,extra=copy``.

All of them keep and send a window of messages, so that only what is planted can grow. A twin does the same work on
the window's end of the log.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from looprig.adapters import chat
from reference_loop import ReferenceLoop, make_loop
from reference_loop.history import History

WINDOW = 40

Log = list[dict[str, Any]]


def _copy(log: Log) -> object:
    return list(log)


def _slice(log: Log) -> object:
    return log[:]


def _search(log: Log) -> object:
    return object() in log


def _recount(log: Log) -> object:
    return sum(len(entry) for entry in log)


def _pairs(log: Log) -> object:
    """For every sixteenth message, look through a sixteenth of them: work with the square of the length."""
    return [log[: len(log) // 16] for _ in log[::16]]


def _rebuild(log: Log) -> object:
    """Copy everything whenever the length has doubled: dear now and then, and cheap for each message."""
    return list(log) if len(log) & (len(log) - 1) == 0 else None


EXTRAS: dict[str, Callable[[Log], object]] = {
    "copy": _copy,
    "slice": _slice,
    "search": _search,
    "recount": _recount,
    "pairs": _pairs,
    "rebuild": _rebuild,
}


class Loop:
    """A conversation that keeps a window of messages, a log, and does something extra for each message of a turn.

    With ``twin`` the extra work is done on the last messages alone. With ``leak`` the log stays, and nothing is done.
    With ``send`` all of the log is sent.
    """

    def __init__(self, model: Any, tools: Any, extra: str = "", twin: bool = False, leak: bool = False,
                 send: bool = False, units: int = 0) -> None:  # fmt: skip
        self._model, self._tools, self._extra = model, tools, EXTRAS.get(extra)
        self._log: Log = []
        self._keeps = (bool(extra) and not twin) or leak or send
        self._send, self._units = send, units
        self.history: Log = []

    def add_system(self, text: str) -> None:
        self._add(chat.said("system", text))

    def send(self, text: str) -> str:
        self._add(chat.said("user", text))
        while True:
            reply = self._model.complete(self._log if self._send else self.history)
            self._add(reply)
            if not reply.get("tool_calls"):
                self._trim()
                return str(reply["content"])
            for call in chat.calls_of(reply):
                self._add(chat.result(call.id, chat.shown(self._tools[call.name].run(call.parsed()))))

    def _add(self, message: dict[str, Any]) -> None:
        self.history.append(message)
        self._log.append(message)
        if self._extra is not None:
            self._extra(self._log)
        for _ in range(self._units):
            _unit()

    def _trim(self) -> None:
        """Keep the window, from a user's message on, so that no call is parted from its result."""
        start = max(0, len(self.history) - WINDOW)
        while start and self.history[start]["role"] != "user":
            start += 1
        del self.history[:start]
        if not self._keeps:
            self._log = list(self.history)


def _unit() -> int:
    """A piece of work of always the same size."""
    total = 0
    for number in range(20):
        total += number
    return total


def make(model: Any, tools: Any, **options: Any) -> Loop:
    return Loop(model, tools, **options)


class _Copying(History):
    """A history that copies itself whenever a message joins it."""

    __slots__ = ()

    def append(self, message: Any) -> None:
        super().append(message)
        self.request()


def copying(model: Any, tools: Any, **options: Any) -> ReferenceLoop:
    """The reference loop with one copy of the history per message."""
    loop = make_loop(model, tools, **options)
    loop._history.__class__ = _Copying
    return loop


class _Many:
    """The reference loop, so many times: the first one's answers count, the others have a copy of the model each."""

    def __init__(self, model: Any, tools: Any, loops: int, options: dict[str, Any]) -> None:
        self._models = [copy.copy(model) for _ in range(loops - 1)]
        self._loops = [make_loop(each, tools, **options) for each in (model, *self._models)]
        self._turns = 0

    def add_system(self, text: str) -> None:
        for loop in self._loops:
            loop.add_system(text)

    async def send(self, text: str) -> object:
        for model in self._models:
            model.begin(self._turns)
        self._turns += 1
        answer, *_ = [await loop.send(text) for loop in self._loops]
        return answer

    def close(self) -> None:
        for loop in self._loops:
            loop.close()


def many(model: Any, tools: Any, loops: int = 100, **options: Any) -> _Many:
    """Return so many reference loops that are told the same: 101 of them cost one percent more than 100."""
    return _Many(model, tools, loops, options)
