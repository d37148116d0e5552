"""Runs all jobs, two at a time, each in a process of its own with a time limit, and collects what they found."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

import msgspec

from looprig.conformance import environment
from looprig.conformance.data import AgentResult, Results, TrimmerResult, Trouble
from looprig.conformance.environment import NEWEST
from looprig.conformance.jobs import Job, environments, known, names
from looprig.version import __version__

AT_ONCE = 2

JOB_LIMIT_S = 900.0
"""A job that takes longer is stopped; what it had found until then stays."""

TAIL_LINES = 3

Found = tuple[list[TrimmerResult], list[AgentResult], Trouble | None]


def run_jobs(jobs: Sequence[Job], home: Path, tell: Callable[[str], None], step: Callable[[int, str], None]) -> Results:
    """Run *jobs* in environments below *home*; *step* is told of each one that is done.

    Raises:
        EnvironmentProblem: where an environment cannot be made.
    """
    home.mkdir(parents=True, exist_ok=True)
    home = home.resolve()
    pythons = {name: environment.ensure(home, name, tell) for name in dict.fromkeys(job.environment for job in jobs)}
    variables = environment.variables(environment.copy_of_looprig(home))
    found: dict[Job, Found] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {pool.submit(run_job, job, pythons[job.environment], variables): job for job in jobs}
        try:
            for number, future in enumerate(as_completed(futures), 1):
                found[futures[future]] = future.result()
                step(number, f"{futures[future].framework} {futures[future].part}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return collected(found, jobs)


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
        python=platform.python_version(),
        trimmers=trimmers,
        agents=[msgspec.structs.replace(each, date=date) for job in jobs for each in found[job][1]],
        troubles=[trouble for job in jobs if (trouble := found[job][2]) is not None],
    )


def updated(before: Results | None, after: Results, chosen: Sequence[str]) -> Results:
    """Return *after*, with what *before* has of frameworks that were not *chosen*, in the usual order."""
    if before is None or not chosen:
        return after
    order = names()
    return msgspec.structs.replace(
        after,
        trimmers=_ordered(
            [*(each for each in before.trimmers if each.framework not in chosen), *after.trimmers], order
        ),
        agents=_ordered([*(each for each in before.agents if each.framework not in chosen), *after.agents], order),
        troubles=_ordered(
            [*(each for each in before.troubles if each.framework not in chosen), *after.troubles], order
        ),
    )


Named = TypeVar("Named", TrimmerResult, AgentResult, Trouble)


def _ordered(found: Sequence[Named], order: Sequence[str]) -> Sequence[Named]:
    return sorted((each for each in found if each.framework in order), key=lambda each: order.index(each.framework))


def run_job(job: Job, python: Path, variables: Mapping[str, str], limit_s: float = JOB_LIMIT_S) -> Found:
    """Run one job and return what it found, and why it ended early if it did."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.jsonl"
        file.touch()
        command = [str(python), "-m", "looprig.conformance.worker", job.framework, job.part, str(file)]
        because = _ended(command, Path(folder), variables, limit_s)
        lines = file.read_bytes().splitlines()
    trouble = Trouble(framework=job.framework, part=job.part, because=because) if because else None
    if job.part == "agent":
        return [], [msgspec.json.decode(line, type=AgentResult) for line in lines], trouble
    return [msgspec.json.decode(line, type=TrimmerResult) for line in lines], [], trouble


def _ended(command: Sequence[str], folder: Path, variables: Mapping[str, str], limit_s: float) -> str:
    """Run *command* in a group of its own; return why it ended early, or an empty text."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(variables), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            return f"stopped after {limit_s:g} s"
        except BaseException:
            _kill(process)
            raise
    if code == 0:
        return ""
    told = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-TAIL_LINES:]
    return f"ended with {code}: {' / '.join(told)}"


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
    variables = environment.variables(environment.copy_of_looprig(home))
    return subprocess.run([str(python), "-m", "looprig", *arguments], env=variables, check=False).returncode
