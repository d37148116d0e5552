"""Runs an application in a thread of this process, on a socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

import uvicorn

from looprig.serving.protocol import Resting

T = TypeVar("T")


class Application(Protocol):
    """What can be served: an ASGI application that is told when its server stops."""

    def __call__(self, scope: dict[str, Any], receive: Any, send: Any, /) -> Awaitable[None]: ...

    def leave(self) -> None:
        """The server is about to end: hold no connection open any longer. It is called in the event loop."""
        ...

    def finish(self) -> None:
        """The server has ended; nothing is asked any more."""
        ...


A = TypeVar("A", bound=Application)

START_S = 30.0
GRACE_S = 5
"""Seconds that streams get to finish when the server stops."""

IDLE_S = 600
"""Seconds after which a connection is closed that nothing is asked on: late, for clients keep theirs."""

BACKLOG = 4096

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop


class CannotServe(Exception):
    """A server, or what is to run against it, cannot be started; the text says why, and what to do."""


class Running(Generic[A]):
    """A server that answers on ``url``; `stop` ends it."""

    def __init__(self, app: A, host: str = "127.0.0.1", port: int = 0) -> None:
        self.app = app
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"
        self._server = uvicorn.Server(_config(app))
        self._thread = threading.Thread(target=self._run, name="looprig-server", daemon=True)
        self._failure: BaseException | None = None
        self._events: asyncio.AbstractEventLoop | None = None

    def start(self) -> Running[A]:
        """Start, and return once requests are taken.

        Raises:
            CannotServe: where it does not come up.
        """
        self._thread.start()
        until = time.monotonic() + START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise CannotServe(f"the server did not start: {self._failure or 'no reason was given'}")
            time.sleep(0.002)
        return self

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                self._events = runner.get_loop()
                runner.run(self._server.serve(sockets=[self._socket]))
        except BaseException as error:
            self._failure = error

    def stop(self) -> None:
        """Take no more requests, let streams finish for some seconds, and judge the turns that go on."""
        self._server.should_exit = True
        if self._events is not None and self._thread.is_alive():
            self._events.call_soon_threadsafe(self.app.leave)
        self._thread.join(GRACE_S + 5)
        self._socket.close()
        self.app.finish()

    def ask(self, question: Callable[[], T]) -> T:
        """Return what *question* returns when it is put between two requests, so that nothing changes under it."""
        if self._events is None or not self._thread.is_alive():
            return question()
        answer: Future[T] = Future()

        def put() -> None:
            try:
                answer.set_result(question())
            except BaseException as error:
                answer.set_exception(error)

        self._events.call_soon_threadsafe(put)
        return answer.result(START_S)


def _config(app: Application) -> uvicorn.Config:
    """Return how the server runs; it logs nothing, for what goes wrong on its connections is mostly a planned fault."""
    return uvicorn.Config(
        app,
        http=Resting,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except (OSError, OverflowError) as error:
        made.close()
        raise CannotServe(
            f"cannot serve on {host} port {port}: {error}; choose another with --port N, or leave it out for a free one"
        ) from error
    made.set_inheritable(False)
    return made


@contextlib.contextmanager
def serving(app: A, host: str = "127.0.0.1", port: int = 0) -> Iterator[Running[A]]:
    """Serve *app* as long as the block lasts."""
    running = Running(app, host, port).start()
    try:
        yield running
    finally:
        running.stop()


@contextlib.contextmanager
def until_stopped() -> Iterator[Callable[[], None]]:
    """Yield a function that returns once this process was interrupted or asked to end, in this block."""
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda _number, _frame: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }

    def wait() -> None:
        while not ended.wait(0.5):
            pass

    try:
        yield wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
