"""The processes of one session: started on one core with one hash seed, asked line by line, ended for certain."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

from looprig.home import Party
from looprig.subject import LoopError

TAIL_LINES = 3
"""So much of what a worker said last is quoted when it died."""


class Design(StrEnum):
    """Which sides share an interpreter; either way all are on one core, and one plays at a time.

    One process for all has half the spread and half the start-up, and needs sides that one interpreter can import:
    two options of one tree. Else each side has a process of its own.
    """

    TOGETHER = "one process"
    APART = "a process a side"


def design_for(parties: Sequence[Party]) -> Design:
    """Return the best design that there is for *parties*."""
    return Design.TOGETHER if all(party.home == parties[0].home for party in parties) else Design.APART


@dataclass(frozen=True, slots=True)
class Draw:
    """What chance decided for a session: the core (None: not pinned), the hash seed, and the order of starting."""

    core: int | None
    hash_seed: int
    order: tuple[int, ...]


class Failed(NamedTuple):
    """How many turns of a play ended in an exception, and what the first one was."""

    turns: float
    first: str


class Crew:
    """The workers of a session, and their sides; a context manager.

    Nothing here can hang for longer than *limit_s*: then all workers are killed, and whoever waits hears of it.
    """

    def __init__(self, parties: Sequence[Party], packed: Path, draw: Draw, design: Design, limit_s: float) -> None:
        self._parties, self._packed, self._draw, self._limit_s = parties, packed, draw, limit_s
        self._seats: dict[int, tuple[_Worker, int]] = {}
        self._groups = [draw.order] if design is Design.TOGETHER else [(side,) for side in draw.order]
        self._workers: list[_Worker] = []
        self._late = threading.Event()
        self._watchdog = threading.Timer(limit_s, self._stop)
        self._watchdog.daemon = True

    def __enter__(self) -> Self:
        self._watchdog.start()
        try:
            for sides in self._groups:
                worker = _Worker([self._parties[side] for side in sides], self._packed, self._draw)
                self._workers.append(worker)
                self._seats.update((side, (worker, seat)) for seat, side in enumerate(sides))
            for worker in self._workers:
                self._answer(worker)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._close()

    def calibrate(self, side: int, wanted_ns: int) -> Mapping[str, Any]:
        """Return how many plays of *side* last about *wanted_ns* (``plays``), their ``cpu_ns``, and ``turns``.

        Raises:
            LoopError: where the loop raised, or its process died or took too long; so do the other methods.
        """
        worker, seat = self._seats[side]
        return self._asked(worker, "calibrate", seat, wanted_ns)

    def cut(self, turns: int) -> int:
        """Cut each play into legs of so many turns, and return how many these are."""
        return max(int(self._asked(worker, "cut", turns)["legs"]) for worker in self._workers)

    def go(self, order: Sequence[int]) -> list[tuple[int, int]]:
        """Play a leg of each side in *order*; return CPU time and wall time of each in nanoseconds."""
        if len(self._workers) == 1:
            seats = (self._seats[side][1] for side in order)
            return [(cpu, wall) for cpu, wall in self._asked(self._workers[0], "go", *seats)["times"]]
        times = []
        for side in order:
            worker, seat = self._seats[side]
            ((cpu, wall),) = self._asked(worker, "go", seat)["times"]
            times.append((cpu, wall))
        return times

    def settle(self) -> None:
        """Tell all workers that the warm-up is over."""
        for worker in self._workers:
            self._asked(worker, "settle")

    def quit(self) -> tuple[int, dict[int, Failed]]:
        """Let all workers end; return their CPU time in nanoseconds, and how many turns of a play failed on each side.

        The CPU time is that of the whole processes, from the start of their interpreters.
        """
        answers = {worker: self._asked(worker, "quit") for worker in self._workers}
        failed = {side: Failed(*answers[worker]["failed"][seat]) for side, (worker, seat) in self._seats.items()}
        return sum(int(answer["cpu_ns"]) for answer in answers.values()), failed

    def _asked(self, worker: _Worker, *words: str | int) -> Mapping[str, Any]:
        worker.tell(*words)
        return self._answer(worker)

    def _answer(self, worker: _Worker) -> Mapping[str, Any]:
        answer = worker.answer()
        if answer is not None and "error" not in answer:
            return answer
        if answer is not None:
            raise LoopError(f"{worker.spec}: {answer['error']}")
        if self._late.is_set():
            raise LoopError(
                f"{worker.spec}: a session did not end within {self._limit_s:g} s: "
                "the loop hangs, or the scenario is too long to be timed; make it shorter with --set"
            )
        raise LoopError(f"{worker.spec}: {worker.last_words()}")

    def _stop(self) -> None:
        self._late.set()
        for worker in list(self._workers):
            worker.kill()

    def _close(self) -> None:
        self._watchdog.cancel()
        for worker in self._workers:
            worker.close()


class _Worker:
    """One process, with the sides that it plays."""

    def __init__(self, parties: Sequence[Party], packed: Path, draw: Draw) -> None:
        home = parties[0].home
        self.spec = " and ".join(dict.fromkeys(party.spec for party in parties))
        core = "-" if draw.core is None else str(draw.core)
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        try:
            self._process = subprocess.Popen(
                home.command("looprig.paired.worker", str(packed), core, *(party.spec for party in parties)),
                cwd=home.folder,
                env=dict(home.variables(draw.hash_seed)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                start_new_session=True,
            )
        except OSError as error:
            self._log.close()
            raise LoopError(f"{self.spec}: {home.python} in {home.folder} cannot be started: {error}") from error

    def tell(self, *words: str | int) -> None:
        """Send one line; whether it arrived, the answer will show."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
            self._process.stdin.flush()

    def answer(self) -> Mapping[str, Any] | None:
        """Return the next answer, or None where the process has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        answer: Mapping[str, Any] = json.loads(line)
        return answer

    def last_words(self) -> str:
        """Return how the process ended, and the end of what it said."""
        code = self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode("utf-8", "replace").strip().splitlines()[-TAIL_LINES:]
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"its process {how}" + (f": {' / '.join(said)}" if said else ", without a word")

    def kill(self) -> None:
        """End the process and all that it started."""
        if self._process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, 9)
            else:
                self._process.kill()

    def close(self) -> None:
        """Wait for a process that was told to quit, and end one that was not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()
