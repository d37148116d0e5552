"""Processes that a load run needs, none of which outlives it: see `keeper`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import looprig.load.keeper as keeper

LINES_SHOWN = 5


class CannotRun(Exception):
    """The run cannot be made, or cannot be written down; the text says why, and what to do. Nothing was measured."""


class Child:
    """A kept process; what it prints goes to *log*, or its standard output to a pipe where ``piped`` is set."""

    def __init__(self, command: Sequence[str], log: Path, variables: Mapping[str, str], *, piped: bool = False) -> None:
        self.log = log
        try:
            self._file: IO[bytes] = log.open("wb")
        except OSError as error:
            raise CannotRun(f"cannot write {log}: {error.strerror}; choose another folder with --out FOLDER") from error
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", keeper.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if piped else self._file,
                stderr=self._file,
                env=dict(variables),
                start_new_session=True,  # an interrupt at the terminal is ours to handle
            )
        except OSError as error:
            self._file.close()
            raise CannotRun(f"cannot start {command[0]}: {error.strerror}") from error

    @property
    def output(self) -> IO[bytes]:
        """The pipe from its standard output."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def code(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._process.poll()

    def ask_to_end(self) -> None:
        """Send it SIGTERM, and go on."""
        if self.code is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> int | None:
        """Return its exit code, or None where it still runs after *timeout_s* seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def end(self, timeout_s: float = 0.0) -> int:
        """Ask it to end, wait *timeout_s* seconds, then end it with all that it started; return its exit code."""
        if timeout_s and self.code is None:
            self.ask_to_end()
            self.wait(timeout_s)
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self.wait(keeper.GRACE_S + 8) is None:  # the keeper itself hangs
            self._process.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._file.close()
        return self._process.wait()

    def last_lines(self) -> str:
        """Return what it said last on standard error, on one line."""
        return last_lines(self.log)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def last_lines(log: Path) -> str:
    """Return the last lines of a log on one line; an empty text where there are none."""
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " | ".join(line.strip() for line in lines[-LINES_SHOWN:] if line.strip())
    return ""


def variables(**more: str) -> dict[str, str]:
    """Return the environment for a child: ours, where it finds looprig as we did, past any proxy."""
    made = {**os.environ, **more}
    here = str(Path(keeper.__file__).parents[2])
    made["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", ""))))
    made["PYTHONUNBUFFERED"] = "1"
    for name in ("NO_PROXY", "no_proxy"):
        made[name] = ",".join(filter(None, (os.environ.get(name, ""), "127.0.0.1,localhost")))
    return made
