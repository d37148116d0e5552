"""Runs all jobs, two at a time, each in a process of its own with a time limit, and collects what they found."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event
from typing import TypeVar

import msgspec

from looprig import suite
from looprig.carry import copy_of_looprig
from looprig.conformance import environment
from looprig.conformance.data import AgentResult, Results, TrimmerResult, Trouble
from looprig.conformance.environment import NEWEST
from looprig.conformance.jobs import Job, environments, known, names
from looprig.version import __version__

AT_ONCE = 2

JOB_LIMIT_S = 900.0
"""A job that takes longer is stopped; what it had found until then stays."""

LOOK_S = 0.2
"""How often it is looked whether a job has ended."""

TAIL_LINES = 1

INTERRUPTED = "interrupted"

Found = tuple[list[TrimmerResult], list[AgentResult], Trouble | None]


def run_jobs(jobs: Sequence[Job], home: Path, tell: Callable[[str], None], step: Callable[[int, str], None]) -> Results:
    """Run *jobs* in environments below *home*; *step* is told of each one that is done.

    Whoever interrupts it gets what was found until then; the jobs that are missing are its troubles.

    Raises:
        EnvironmentProblem: where an environment cannot be made.
    """
    home.mkdir(parents=True, exist_ok=True)
    home = home.resolve()
    pythons = {name: environment.ensure(home, name, tell) for name in dict.fromkeys(job.environment for job in jobs)}
    found: dict[Job, Found] = {job: ([], [], _trouble(job, INTERRUPTED)) for job in jobs}
    stop = Event()
    with copy_of_looprig(home) as own, ThreadPoolExecutor(AT_ONCE) as pool:
        variables = environment.variables(own)
        futures = {pool.submit(run_job, job, pythons[job.environment], variables, stop=stop): job for job in jobs}
        try:
            for number, future in enumerate(as_completed(futures), 1):
                found[futures[future]] = future.result()
                step(number, f"{futures[future].framework} {futures[future].part}")
        except KeyboardInterrupt:
            stop.set()
            pool.shutdown(cancel_futures=True)
    return collected(found, jobs)


def _trouble(job: Job, because: str) -> Trouble:
    return Trouble(framework=job.framework, part=job.part, because=because)


def collected(found: Mapping[Job, Found], jobs: Sequence[Job]) -> Results:
    """Return what all *jobs* found, with the date and the versions."""
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    trimmers = [
        msgspec.structs.replace(each, date=date, environment="" if job.environment == NEWEST else job.environment)
        for job in jobs
        for each in found[job][0]
    ]
    return Results(
        date=date,
        looprig=__version__,
        machine=suite.machine(),
        trimmers=trimmers,
        agents=[msgspec.structs.replace(each, date=date) for job in jobs for each in found[job][1]],
        troubles=[trouble for job in jobs if (trouble := found[job][2]) is not None],
    )


def updated(before: Results | None, after: Results, chosen: Sequence[str]) -> Results:
    """Return *after*, with what *before* has of the frameworks that were not *chosen* or not finished, in order."""
    unfinished = {each.framework for each in after.troubles if each.because == INTERRUPTED}
    new = set(chosen or names()) - unfinished
    if before is None:
        return after
    return msgspec.structs.replace(
        after,
        trimmers=_merged(before.trimmers, after.trimmers, new),
        agents=_merged(before.agents, after.agents, new),
        troubles=_merged(before.troubles, after.troubles, new | unfinished),
    )


Named = TypeVar("Named", bound=TrimmerResult | AgentResult | Trouble)


def _merged(before: Sequence[Named], after: Sequence[Named], new: Set[str]) -> Sequence[Named]:
    order = names()
    kept = [each for each in before if each.framework not in new and each.framework in order]
    added = [each for each in after if each.framework in new]
    return sorted([*kept, *added], key=lambda each: order.index(each.framework))


def run_job(
    job: Job, python: Path, variables: Mapping[str, str], limit_s: float = JOB_LIMIT_S, stop: Event | None = None
) -> Found:
    """Run one job and return what it found, and why it ended early if it did; once *stop* is set, it does."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.jsonl"
        file.touch()
        command = [str(python), "-m", "looprig.conformance.worker", job.framework, job.part, str(file)]
        because = _ended(command, Path(folder), variables, limit_s, stop or Event())
        lines = file.read_bytes().splitlines()
    trouble = _trouble(job, because) if because else None
    if job.part == "agent":
        return [], [msgspec.json.decode(line, type=AgentResult) for line in lines], trouble
    return [msgspec.json.decode(line, type=TrimmerResult) for line in lines], [], trouble


def _ended(command: Sequence[str], folder: Path, variables: Mapping[str, str], limit_s: float, stop: Event) -> str:
    """Run *command* in a group of its own; return why it ended early, or an empty text."""
    log, deadline = folder / "log", time.monotonic() + limit_s
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(variables), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    while process.poll() is None:
        if stop.wait(LOOK_S) or time.monotonic() > deadline:
            _kill(process)
            return INTERRUPTED if stop.is_set() else f"stopped after {limit_s:g} s"
    if process.returncode == 0:
        return ""
    told = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-TAIL_LINES:]
    return f"ended with {process.returncode}: {' / '.join(told)}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def command_in(framework: str, arguments: Sequence[str], home: Path, tell: Callable[[str], None]) -> int:
    """Run ``looprig ARGUMENTS`` in the environment of a *framework*, here and now; return its exit code.

    Raises:
        EnvironmentProblem: where the environment cannot be made.
        UnknownFramework: where there is no such framework.
    """
    name = environments(known(framework))[0]
    home.mkdir(parents=True, exist_ok=True)
    home = home.resolve()
    python = environment.ensure(home, name, tell)
    with copy_of_looprig(home) as own:
        command = [str(python), "-m", "looprig", *arguments]
        return subprocess.run(command, env=environment.variables(own), check=False).returncode
