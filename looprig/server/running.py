"""Runs the server in a thread of this process, and a command against it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from types import FrameType
from typing import Any, TypeVar

from looprig.server.app import App
from looprig.server.http import Connection

T = TypeVar("T")

START_S = 30.0
GRACE_S = 5.0
"""Seconds that streams get to finish when the server stops."""

BACKLOG = 4096

KEY = "looprig-no-real-key"


if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop


class CannotServe(Exception):
    """The server or the command cannot be started; the text says why, and what to do."""


class Running:
    """A server that answers on ``url``; `stop` ends it."""

    def __init__(self, app: App, host: str = "127.0.0.1", port: int = 0) -> None:
        self.app = app
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"
        self._thread = threading.Thread(target=self._run, name="looprig-server", daemon=True)
        self._failure: BaseException | None = None
        self._events: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()

    def start(self) -> Running:
        """Start, and return once requests are taken.

        Raises:
            CannotServe: where it does not come up.
        """
        self._thread.start()
        if not self._started.wait(START_S) or self._failure is not None:
            raise CannotServe(f"the server did not start: {self._failure or 'no reason was given'}")
        return self

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        events = self._events = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        connections: set[Connection] = set()
        server = await events.create_server(
            lambda: Connection(self.app, events, connections), sock=self._socket, backlog=BACKLOG
        )
        self._started.set()
        await self._stop.wait()
        self.app.closing = True
        server.close()
        for connection in list(connections):
            connection.leave()
        until = events.time() + GRACE_S
        while connections and events.time() < until:
            await asyncio.sleep(0.01)
        for connection in list(connections):
            connection.abort()
        await asyncio.sleep(0)

    def stop(self) -> None:
        """Take no more requests, let streams finish for some seconds, and judge the turns that go on."""
        if self._events is not None and self._stop is not None and self._thread.is_alive():
            self._events.call_soon_threadsafe(self._stop.set)
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
def serving(app: App, host: str = "127.0.0.1", port: int = 0) -> Iterator[Running]:
    """Serve *app* as long as the block lasts."""
    running = Running(app, host, port).start()
    try:
        yield running
    finally:
        running.stop()


def variables(url: str) -> dict[str, str]:
    """Return the environment that points the official clients, and many others, to the server at *url*.

    The keys are no real ones, and stand in for those that may be set: a key of the user's is never sent.
    """
    return {
        "LOOPRIG_URL": url,
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",
        "OPENAI_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": KEY,
        "GOOGLE_GEMINI_BASE_URL": url,
        "GEMINI_API_KEY": KEY,
    }


DROPPED = ("ANTHROPIC_AUTH_TOKEN", "GOOGLE_API_KEY", "OPENAI_ADMIN_KEY")
"""Variables with keys that a client would send beside or in place of those."""

PAST_PROXIES = "127.0.0.1,localhost"
"""What no client shall ask a proxy for."""


def environment(url: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return *given* as a command gets it: pointed to the server, past any proxy."""
    made = {name: value for name, value in given.items() if name not in DROPPED}
    made |= variables(url)
    for name in ("NO_PROXY", "no_proxy"):
        made[name] = ",".join(filter(None, (given.get(name, ""), PAST_PROXIES)))
    return made


def run_command(command: Sequence[str], running: Running) -> int:
    """Run *command* against the server, passing signals on; return its exit code (128 + N where signal N ended it).

    Raises:
        CannotServe: where it cannot be started.
    """
    try:
        child = subprocess.Popen(list(command), env=environment(running.url, os.environ))
    except (OSError, ValueError) as error:
        raise CannotServe(
            f"cannot run {command[0]}: {error}; what stands behind -- is a command with arguments"
        ) from error
    with _passed_on(child):
        code = child.wait()
    return 128 - code if code < 0 else code


@contextlib.contextmanager
def _passed_on(child: subprocess.Popen[Any]) -> Iterator[None]:
    """Pass signals on to *child*; a terminal sends its interrupt to both by itself."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGINT or not sys.stdin.isatty():
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
