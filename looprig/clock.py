"""Real and virtual time, passed in to whoever needs it.

In virtual time a scripted delay costs no real time and a run of an hour takes seconds. A
library (looptime) exists for the asyncio half; it is not used, because its distribution
installs plugins into every pytest run of the user, and because the synchronous half and
the asyncio half have to share one clock. A test holds the two against each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import selectors
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Clock(Protocol):
    """Where the time comes from; ``name`` stands in every recording."""

    name: str

    def now(self) -> float:
        """Return the time in seconds, from a start of the clock's own choosing."""
        ...

    def sleep(self, seconds: float) -> None: ...

    async def asleep(self, seconds: float) -> None: ...

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop that runs on this clock."""
        ...

    def installed(self) -> AbstractContextManager[None]:
        """Let event loops that others make run on this clock, for as long as the block lasts."""
        ...


class RealClock:
    """The machine's monotonic clock."""

    name = "real"

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def event_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    def installed(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()


class VirtualClock:
    """A clock that moves only when somebody sleeps.

    Loops that do real input and output (sockets, subprocesses) need `RealClock`: a virtual
    clock does not wait for the outside world.
    """

    name = "virtual"

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")  # the words of time.sleep
        self._now += seconds

    async def asleep(self, seconds: float) -> None:
        if not isinstance(asyncio.get_running_loop(), _VirtualEventLoop):
            self.sleep(seconds)  # an event loop that somebody brought along does not know this clock
            seconds = 0.0
        await asyncio.sleep(seconds)

    def event_loop(self) -> asyncio.AbstractEventLoop:
        return _VirtualEventLoop(self)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Let event loops that others make run on this clock: a loop may call `asyncio.run` inside of ``send``."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # event loop policies go away in Python 3.16
            before = asyncio.get_event_loop_policy()
            asyncio.set_event_loop_policy(_VirtualPolicy(self))
        try:
            yield
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                asyncio.set_event_loop_policy(before)


async def awaited(result: Awaitable[Any], cancel_after_s: float | None = None) -> Any:
    """Await *result*, and cancel it after so many seconds of the event loop's clock, where any are given."""
    if cancel_after_s is None:
        return await result
    task = asyncio.ensure_future(result)
    handle = asyncio.get_running_loop().call_later(cancel_after_s, task.cancel)
    try:
        return await task
    finally:
        handle.cancel()


class Deadlock(RuntimeError):
    """Everything waits, and nothing is left that could end the wait."""


class _VirtualSelector(selectors.DefaultSelector):
    """Moves the clock where an ordinary selector would wait."""

    POLL_S = 0.05
    GRACE_S = 1.0

    def __init__(self, clock: VirtualClock, threads_at_work: Callable[[], int]) -> None:
        super().__init__()
        self._clock = clock
        self._threads_at_work = threads_at_work

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or timeout == 0:
            return ready
        if self._threads_at_work():
            # Work in a thread takes no virtual time: it ends before any timer fires.
            return super().select(self.POLL_S)
        if timeout is not None:
            self._clock.sleep(max(timeout, 0.0))
            return ready
        ready = super().select(self.GRACE_S)  # a thread that asyncio does not know of may still call back
        if not ready:
            raise Deadlock("the loop waits for something that nothing will ever do")
        return ready


class _VirtualEventLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._threads = 0
        super().__init__(_VirtualSelector(clock, lambda: self._threads))

    def time(self) -> float:
        return self._clock.now()

    @property
    def _clock_resolution(self) -> float:
        """What asyncio adds to the time to find the timers that are due.

        Its own nanosecond is lost in rounding after half a year of virtual time: a timer would be due, and never fire.
        """
        return max(1e-9, math.ulp(self._clock.now()))

    @_clock_resolution.setter
    def _clock_resolution(self, _: float) -> None:
        pass  # asyncio sets it once, from the machine's clock

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self._threads -= 1


class _VirtualPolicy(asyncio.DefaultEventLoopPolicy):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return self._clock.event_loop()
