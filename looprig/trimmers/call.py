"""Calls a trimmer: sync or async, new list, None or in place, within a time limit, whatever it raises."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import msgspec

from looprig.messages import Message
from looprig.subject import described
from looprig.trimmers.contract import Codec, Trimmer

CALL_LIMIT_S = 5.0


class TrimFailed(Exception):
    """The trimmer raised, took too long, or returned no history; the text says which."""


class TimeUp(BaseException):
    """Ends a call that takes too long; not an `Exception`, so that ``except Exception`` lets it through."""


class Caller:
    """Calls trimmers in one event loop, as a context manager.

    A call is stopped after ``limit_s`` where the platform has alarms and this is the main thread; elsewhere it is not.
    """

    def __init__(self, limit_s: float = CALL_LIMIT_S) -> None:
        self.limit_s = limit_s
        self.timed_out = 0
        self._events = asyncio.new_event_loop()
        self._alarms = hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread()
        self._handler: Any = None

    def __enter__(self) -> Caller:
        if self._alarms:
            self._handler = signal.signal(signal.SIGALRM, _time_is_up)
        return self

    def __exit__(self, *_: object) -> None:
        if self._alarms:
            signal.signal(signal.SIGALRM, self._handler)
        self._events.run_until_complete(self._events.shutdown_asyncgens())
        self._events.close()

    def call(self, trimmer: Trimmer, native: list[Any]) -> Any:
        """Return what *trimmer* makes of *native*.

        Raises:
            TrimFailed: where it raises, hangs, or returns no list.
        """
        try:
            with self._limited():
                result = trimmer(native)
                if inspect.isawaitable(result):
                    result = self._events.run_until_complete(_awaited(result))
        except TimeUp:
            self.timed_out += 1
            raise TrimFailed(f"it did not return within {self.limit_s:g} s") from None
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise TrimFailed(f"it raised {described(error)}") from error
        return native if result is None else result

    def trimmed(self, trimmer: Trimmer, native: list[Any], codec: Codec) -> list[Message]:
        """Return what *trimmer* makes of *native*, in looprig's messages.

        Raises:
            TrimFailed: as above, and where what comes back cannot be read.
        """
        return self.read(self.call(trimmer, native), codec)

    def read(self, result: Any, codec: Codec) -> list[Message]:
        """Return what a trimmer gave back in looprig's messages.

        Raises:
            TrimFailed: where it cannot be read.
        """
        try:
            messages: list[Any] = list(codec.dump(result))
        except Exception as error:
            raise TrimFailed(f"it returned {type(result).__name__}, which is no history: {described(error)}") from error
        strange = next((entry for entry in messages if not isinstance(entry, Message)), None)
        if strange is not None:
            raise TrimFailed(f"it returned a list with {type(strange).__name__} in it, where messages belong")
        return messages

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        if not self._alarms:
            yield
            return
        signal.setitimer(signal.ITIMER_REAL, self.limit_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


async def _awaited(result: Any) -> Any:
    return await result


def _time_is_up(_number: int, _frame: FrameType | None) -> None:
    raise TimeUp


def facts(value: Any, depth: int = 8) -> Any:
    """Return *value* as plain data that can be compared later, whatever becomes of the object meanwhile."""
    if depth == 0 or value is None or isinstance(value, str | bytes | int | float | bool):
        return value if depth else type(value).__name__
    if isinstance(value, dict):
        return {str(key): facts(entry, depth - 1) for key, entry in value.items()}
    if isinstance(value, Message):
        return value  # frozen
    if isinstance(value, msgspec.Struct):
        return [type(value).__name__, *(facts(getattr(value, name), depth - 1) for name in value.__struct_fields__)]
    if isinstance(value, Sequence):
        return [facts(entry, depth - 1) for entry in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    inside = getattr(value, "__dict__", None)
    if inside is None:
        inside = {name: getattr(value, name, None) for name in getattr(type(value), "__slots__", ())}
    return [type(value).__name__, facts(dict(inside), depth - 1)] if inside else repr(type(value))
