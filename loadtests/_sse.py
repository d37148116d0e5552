"""Reads server-sent events when they arrive, and knows when a stream was cut.

Locust's own readers of streams wait until 1024 bytes have come, which makes a first token hundreds of milliseconds
late, and hand out a character in two halves. This one asks geventhttpclient for lines (`response._response.readline`),
which returns as soon as there is one. That is not part of locust's promises, so `tests/loadtests/test_sse.py` holds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from geventhttpclient.response import HTTPParseError

from looprig.load.turns import TurnFailed

EVENT_BYTES_MAX = 16 * 1024 * 1024
"""An event that is longer is not waited for."""


class ServerEvent(NamedTuple):
    """One event: its name ("message" where it has none) and its data, lines joined."""

    name: str
    data: str


class Reader:
    """The events of one response. ``at`` is the clock's reading when the network last brought something.

    So events that came in one piece have one time, and the gap between two times is one between arrivals.
    """

    def __init__(self, raw: Any, clock: Callable[[], float] = time.perf_counter) -> None:
        self._raw = raw
        self._clock = clock
        self.at = clock()

    def __iter__(self) -> Iterator[ServerEvent]:
        """Yield events until the response ends. One that was not ended by an empty line is no event.

        Raises:
            TurnFailed: where the connection ends before the response does, is silent for too long, or brings bytes
                that are no text.
        """
        lines: list[bytes] = []
        size = 0
        while line := self._line():
            line = line[:-1].removesuffix(b"\r")
            size += len(line)
            if line:
                lines.append(line)
                if size > EVENT_BYTES_MAX:
                    raise TurnFailed("oversized event", f"more than {EVENT_BYTES_MAX} bytes")
                continue
            if (event := _event(lines)) is not None:
                yield event
            lines, size = [], 0

    def _line(self) -> bytes:
        """Return the next line with its end, or nothing where the response is over."""
        raw = self._raw
        waiting = b"\n" not in raw._body_buffer
        try:
            line: bytes = raw.readline(b"\n")
        except TimeoutError as error:
            raise TurnFailed("timeout", "nothing came for too long") from error
        except (OSError, HTTPParseError) as error:
            raise TurnFailed("broken stream", f"the connection ended in the middle: {error}") from error
        if waiting:
            self.at = self._clock()
        return line


def _event(lines: list[bytes]) -> ServerEvent | None:
    """Return the event of *lines*, or None for comments alone (see the WHATWG's "Interpreting an event stream")."""
    name = "message"
    data: list[str] = []
    try:
        # Decoded as a whole: a character that came in two parts of the network's is one here.
        text = b"\n".join(lines).decode("utf-8")
    except UnicodeDecodeError as error:
        raise TurnFailed("undecodable text", str(error)) from error
    for line in text.removeprefix("\ufeff").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value or "message"
    return ServerEvent(name, "\n".join(data)) if data else None
