"""Asks a question of a fresh interpreter in a party's home, and reads the answer.

The question goes in as one line of JSON, then the packed scenarios; the answer comes back as one line of JSON.
What the loop prints goes to standard error, so that it cannot get between.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from looprig.clock import Clock, RealClock, VirtualClock
from looprig.home import Party
from looprig.scenario import Scenario
from looprig.subject import LoopError, described
from looprig.target import TargetError, find
from looprig.workload import unpack

TIMEOUT_S = 600.0
"""Wall seconds after which a process is stopped: a loop that never ends must fail, not hang."""

_LAST_LINES = 5

T = TypeVar("T")


def ask(
    party: Party,
    module: str,
    question: Mapping[str, Any],
    packed: Sequence[bytes],
    *,
    hash_seed: int = 0,
    under: Sequence[str] = (),
    timeout_s: float = TIMEOUT_S,
) -> dict[str, Any]:
    """Run *module* of looprig in the home of *party*, behind the words *under*, and return what it answers.

    Raises:
        LoopError: where the loop cannot be had or played, or the process ends or hangs without an answer.
    """
    told = json.dumps({"spec": party.spec, "sizes": [len(each) for each in packed], **question}).encode() + b"\n"
    command = [*under, *party.home.command(module)]
    try:
        # A file, since a pipe is read in pieces of any size, and how memory is laid out must not depend on that.
        with tempfile.TemporaryFile() as question_file:
            question_file.writelines([told, *packed])
            question_file.seek(0)
            done = subprocess.run(  # noqa: PLW1510 - the answer says how it went
                command,
                stdin=question_file,
                capture_output=True,
                cwd=party.home.folder,
                env=dict(party.home.variables(hash_seed)),
                timeout=timeout_s,
            )
    except subprocess.TimeoutExpired:
        raise LoopError(f"{party.spec}: no answer within {timeout_s:.0f} s from {module}; the loop may hang") from None
    except OSError as error:
        raise LoopError(f"{party.spec}: {command[0]} cannot be started: {error.strerror}") from error
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise LoopError(_silent(party, done.returncode, done.stderr)) from None
    if "error" in answer:
        raise LoopError(f"{party.spec}: {answer['error']}")
    assert isinstance(answer, dict)
    return answer


def _silent(party: Party, code: int, errors: bytes) -> str:
    lines = errors.decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
    return "\n  ".join([f"{party.spec}: its process ended with {code} and without an answer; it said last:", *lines])


def answer(make: Callable[[dict[str, Any], Callable[..., Any], Sequence[Scenario]], dict[str, Any]]) -> None:
    """Be the other end of `ask`: give the question, the loop's factory and the scenarios to *make*, send its answer."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    question = json.loads(sys.stdin.buffer.readline())
    try:
        target = find(question["spec"])
        scenarios = [unpack(sys.stdin.buffer.read(size)) for size in question["sizes"]]
        told = make({**question, "clock": target.clock}, target.make(), scenarios)
    except (LoopError, TargetError) as error:
        told = {"error": str(error)}
    except Exception as error:
        told = {"error": described(error)}
    out.write(json.dumps(told))
    out.close()


def clock(question: Mapping[str, Any]) -> Clock:
    """Return the clock that the loop in question needs."""
    return RealClock() if question["clock"] == "real" else VirtualClock()


def all_at_once(work: Sequence[Callable[[], T]]) -> Iterator[T]:
    """Yield what each piece of *work* returns, a process for each core: what is counted does not mind company."""
    pool = ThreadPoolExecutor(max(1, min(len(work), _cores())))
    try:
        yield from pool.map(lambda piece: piece(), work)
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
