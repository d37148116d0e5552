"""The service that a load run is made on: one that is there already, or one that is started for the run."""

from __future__ import annotations

import contextlib
import http.client
import re
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from looprig.load.children import CannotRun, Child, variables

START_S = 60.0
STOP_S = 15.0
"""Seconds that a service gets to finish running turns when it is asked to end."""

ASK_S = 5.0
LOOK_S = 1.0


class NoService(Exception):
    """Nobody answers at the URL; the text says what to do. Nothing ran."""


@dataclass(frozen=True, slots=True)
class ServiceWanted:
    """What is started where no URL is given: `looprig serve loop` with these options."""

    loop: str = "reference"
    options: Sequence[str] = ()

    def command(self) -> list[str]:
        """Return the command line."""
        words = [sys.executable, "-m", "looprig", "serve", "loop", "--port", "0"]
        return [*words, "--loop", self.loop, *self.options]


@dataclass(slots=True)
class Service:
    """A service under load. ``child`` is its process, where the run started it."""

    url: str
    child: Child | None = None
    broken: bool = field(default=False, init=False)
    """Whether it said, when it ended, that an invariant was broken."""
    _looked: float = field(default=0.0, init=False)

    def is_gone(self) -> bool:
        """Say whether it ended by itself, or takes no connections any more; one that is only slow is there.

        A service of somebody else is looked at once a second: every look is a connection.
        """
        if self.child is not None:
            return self.child.code is not None
        if time.monotonic() - self._looked < LOOK_S:
            return False
        self._looked = time.monotonic()
        return not (reachable(self.url) or reachable(self.url))

    def stats(self) -> dict[str, Any] | None:
        """Return what ``/v1/stats`` answers, None where a service has no such address or is gone."""
        return get_json(self.url, "/v1/stats")


@contextlib.contextmanager
def running(wanted: ServiceWanted, folder: Path) -> Iterator[Service]:
    """Start a service for as long as the block lasts; ``service.log`` in *folder* has what it prints.

    Raises:
        CannotRun: where it does not come up, with what it said.
    """
    with Child(wanted.command(), folder / "service.log", variables(), piped=True) as child:
        service = Service(_address(child), child)
        yield service
        if child.code is None:
            child.ask_to_end()
            verdict = _rest(child, STOP_S)
            service.broken = child.wait(STOP_S) == 1
            with contextlib.suppress(OSError):
                (folder / "service.txt").write_bytes(verdict)


def _address(child: Child) -> str:
    """Return the address that the first line of the service's output names."""
    until = time.monotonic() + START_S
    said = b""
    while b"\n" not in said and time.monotonic() < until:
        if select.select([child.output], [], [], 0.1)[0]:
            piece = child.output.read1(4096)  # type: ignore[attr-defined]
            if not piece:
                break
            said += piece
    found = re.match(rb"serving (http://\S+)\s", said)
    if found is None:
        child.wait(1.0)
        reason = child.last_lines() or said.decode(errors="replace").strip() or "it said nothing"
        raise CannotRun(f"the service did not start: {reason}")
    return found[1].decode()


def _rest(child: Child, timeout_s: float) -> bytes:
    """Return what the service prints until it ends: its verdict."""
    until = time.monotonic() + timeout_s
    said = b""
    while time.monotonic() < until:
        if select.select([child.output], [], [], 0.1)[0]:
            piece = child.output.read1(65536)  # type: ignore[attr-defined]
            if not piece:
                break
            said += piece
    return said


@contextlib.contextmanager
def existing(url: str) -> Iterator[Service]:
    """Give the service at *url*, once it was seen to answer.

    Raises:
        CannotRun: for a URL that is none.
        NoService: where nobody answers.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotRun(f"{url!r} is no URL of a service; write one such as http://127.0.0.1:8000")
    if not reachable(url):
        raise NoService(
            f"no service answers at {url}; start it first, or leave --url out to have looprig serve its own loop"
        )
    yield Service(url.rstrip("/"))


def reachable(url: str) -> bool:
    """Say whether somebody takes connections there."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=ASK_S).close()
    except OSError:
        return False
    return True


def get_json(url: str, path: str) -> dict[str, Any] | None:
    """Return the JSON object at *path* of the service, None where there is none: past any proxy."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ASK_S)
    try:
        connection.request("GET", parts.path.rstrip("/") + path)
        answer = connection.getresponse()
        found = msgspec.json.decode(answer.read()) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()
    return found if isinstance(found, dict) else None


Opened = Callable[[], contextlib.AbstractContextManager[Service]]
"""Starts or finds the service of a run."""
