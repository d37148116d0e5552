"""The reference loop for code that is not async."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from looprig.messages import Message
from reference_loop.history import HistoryListener
from reference_loop.loop import ReferenceLoop


class SyncReferenceLoop:
    """A `ReferenceLoop` with an event loop of its own; not for use inside a running event loop."""

    def __init__(self, loop: ReferenceLoop) -> None:
        self._loop = loop
        self._runner = asyncio.Runner()
        self.trim = loop.trim

    def __enter__(self) -> SyncReferenceLoop:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    def send(self, text: str) -> Message:
        return self._runner.run(self._loop.send(text))

    @property
    def history(self) -> tuple[Message, ...]:
        return self._loop.history

    @property
    def contract(self) -> dict[str, Any]:
        return self._loop.contract

    def add_system(self, text: str) -> None:
        self._loop.add_system(text)

    def observe(self, listener: HistoryListener) -> None:
        self._loop.observe(listener)

    def statistics(self) -> dict[str, float]:
        return self._loop.statistics()

    def close(self) -> None:
        """End the conversation and its event loop."""
        self._loop.close()
        self._runner.close()
