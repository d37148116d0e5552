"""Threads for loops that are synchronous: a bounded number, which end with the process whatever they are doing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Crew:
    """Runs functions in at most *most* threads; each is started when there is work that nobody is free for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._started = 0
        self._busy = 0

    async def run(self, function: Callable[[], Any]) -> Any:
        """Return what *function* returns in a thread; work that nobody waits for any more is done all the same."""
        events = asyncio.get_running_loop()
        future: asyncio.Future[Any] = events.create_future()
        self._busy += 1
        if self._busy > self._started and self._started < self._most:
            self._started += 1
            # A daemon: a loop that never returns must not keep the process from ending.
            threading.Thread(target=self._work, name=f"looprig-loop-{self._started}", daemon=True).start()
        self._jobs.put((function, events, future))
        future.add_done_callback(self._done)
        result, error = await asyncio.shield(future)
        if error is not None:
            raise error
        return result

    def _done(self, _future: asyncio.Future[Any]) -> None:
        self._busy -= 1

    def _work(self) -> None:
        while True:
            function, events, future = self._jobs.get()
            try:
                result, error = function(), None
            except BaseException as raised:
                result, error = None, raised
            try:
                events.call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                return  # the event loop is closed: the service has ended
            del function, result, error, future


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if not future.done():
        future.set_result((result, error))  # as a value: nobody may be waiting for an exception any more
