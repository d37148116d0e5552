"""Makes one load run: the service, locust as a child process, progress, and what was recorded when it is over.

Whatever happens, nothing is left running, and what was recorded until then is returned: by locust at its end
(``tally.json``), or about once a second before it (``live.json``).
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import msgspec

from looprig.content import standard
from looprig.load.children import CannotRun, Child, last_lines, variables
from looprig.load.plan import Plan
from looprig.load.recorded import Tally
from looprig.load.service import Opened, Service
from looprig.load.summary import Ended
from looprig.load.validity import Counted

LOOK_S = 0.2
"""Seconds between two looks at the processes."""

LATE_S = 30.0
"""Seconds that locust may need beyond the run and its drain, to start, and to write what was recorded."""

WORKERS_S = 60
"""How long workers of other machines are waited for, before a run."""

LOST_S = 10.0
"""How long a worker may be missing; then the run, which is not valid, is not made to its end either."""

LEAVE_S = 8.0
"""Seconds in which locust has to write what was recorded, when a run is cut short."""


@dataclasses.dataclass(frozen=True, slots=True)
class How:
    """How locust is run: processes on this machine, its web UI, or a part in a run over several machines."""

    locustfile: Path | None = None
    processes: int = 1
    web_port: int | None = None
    """The port of locust's web UI; None for none."""
    master: str | None = None
    """The interface on which workers of other machines are waited for."""
    worker_of: str | None = None
    """The master that this process makes load for."""
    port: int = 5557
    """The master's port, between machines."""

    def command(self, plan: Plan) -> list[str]:
        """Return locust's command line."""
        words = [sys.executable, "-m", "locust", "-f", str(self.locustfile or standard("loadtests") / "chat.py")]
        words += ["--host", plan.url, "--loglevel", "WARNING"]
        if self.worker_of is not None:
            words += ["--worker", "--master-host", self.worker_of, "--master-port", str(self.port)]
            return [*words, *self._processes()]
        if self.web_port is None:
            words += ["--headless", "--only-summary"]
        else:
            words += ["--autostart", "--web-host", "127.0.0.1", "--web-port", str(self.web_port)]
        if self.master is not None:
            words += ["--master", "--master-bind-host", self.master, "--master-bind-port", str(self.port)]
            words += ["--expect-workers", str(plan.workers), "--expect-workers-max-wait", f"{WORKERS_S:g}"]
        elif self.processes > 1:
            port = str(free_port())
            words += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
        return [*words, *self._processes()]

    def _processes(self) -> list[str]:
        return ["--processes", str(self.processes)] if self.processes > 1 else []


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


@dataclasses.dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run."""

    plan: Plan
    tally: Tally
    server: Counted | None
    ended: Ended


Tell = Callable[[float, Tally | None], None]
"""Is told now and then how many seconds of the run are over, and what was recorded by then."""


class Stop:
    """Whether this process was asked to end, and how often."""

    def __init__(self) -> None:
        self.asked = 0

    def note(self, _number: int, _frame: FrameType | None) -> None:
        """Take note of a signal."""
        self.asked += 1


@contextlib.contextmanager
def stoppable() -> Iterator[Stop]:
    """Take SIGINT and SIGTERM as a wish to end, for as long as the block lasts, and not as an exception."""
    stop = Stop()
    before = {number: signal.signal(number, stop.note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def prepare(folder: Path) -> None:
    """Ask for all that a run needs before anything is started.

    Raises:
        CannotRun: where locust is missing, or the folder cannot be written to.
    """
    if not hasattr(os, "killpg"):
        raise CannotRun("load runs need process groups, which this system does not have; use Linux, macOS or WSL")
    if importlib.util.find_spec("locust") is None:
        raise CannotRun("locust is not installed in this environment; install it with: pip install locust")
    with written_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("tally.json", "live.json"):  # of a run before
            (folder / name).unlink(missing_ok=True)
        # As much as a summary takes: a disk that is full is told now, and not after the run.
        probe = folder / "probe.tmp"
        try:
            probe.write_bytes(b" " * 262_144)
        finally:
            probe.unlink(missing_ok=True)


@contextlib.contextmanager
def written_in(folder: Path) -> Iterator[None]:
    """Say of a failure to write in the block where it was, and what to do."""
    try:
        yield
    except OSError as error:
        raise CannotRun(
            f"cannot write in {folder}: {error.strerror}; choose another folder with --out FOLDER"
        ) from error


def run(plan: Plan, how: How, opened: Opened, tell: Tell) -> Ran:
    """Make the run; the plan's URL becomes that of the service.

    Raises:
        CannotRun: where it cannot be begun, or nothing can be written.
        NoService: where nobody answers.
    """
    folder = Path(plan.folder)
    prepare(folder)
    with stoppable() as stop, opened() as service:
        plan = msgspec.structs.replace(plan, url=service.url)
        path = folder / "plan.json"
        with written_in(folder):
            path.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2))
        before = service.stats()
        ended = _locust(plan, how, service, stop, tell)
        tally = recorded(folder)
        if ended.how == "finished" and not (folder / "tally.json").is_file():
            ended = Ended(how="error", because=f"locust ended without a record of the run: {_log(folder)}")
        after = service.stats()
        server = Counted.between(before, after) if before is not None and after is not None else None
    if service.broken and not (server is not None and server.violations):
        server = msgspec.structs.replace(server or Counted(), violations={"found as the service ended": 1})
    return Ran(plan, tally or Tally(began_at=time.time()), server, ended)


def _locust(plan: Plan, how: How, service: Service, stop: Stop, tell: Tell) -> Ended:
    """Run locust until it ends, or has to."""
    folder = Path(plan.folder)
    told = variables(LOOPRIG_LOAD_PLAN=str(folder.absolute() / "plan.json"))
    with Child(how.command(plan), folder / "locust.log", told) as child:
        try:
            return _watch(plan, how, service, stop, tell, child)
        finally:
            if child.code is None:
                child.end(0.0 if stop.asked > 1 else LEAVE_S)


def _watch(plan: Plan, how: How, service: Service, stop: Stop, tell: Tell, child: Child) -> Ended:
    began = time.monotonic()
    over = plan.duration_s + plan.stop_timeout_s + LATE_S + (WORKERS_S if how.master is not None else 0.0)
    if not plan.duration_s:  # a trace, to its end
        over = math.inf
    live, lost_since = Live(Path(plan.folder)), None
    while child.wait(LOOK_S) is None:
        passed = time.monotonic() - began
        seen = live.read()
        tell(min(passed, plan.duration_s), seen)
        lost_since = (lost_since or passed) if seen is not None and seen.workers_lost else None
        if lost_since is not None and passed - lost_since > LOST_S:
            return Ended(because=f"a worker was missing for {LOST_S:g} s, and the run was ended")
        if stop.asked:
            done = how.web_port is not None and (Path(plan.folder) / "tally.json").is_file()
            return Ended() if done else Ended(how="interrupted", because=f"interrupted after {passed:.1f} s")
        if service.is_gone():
            return Ended(how="error", because=f"the service ended in the middle of the run, {_last_words(service)}")
        if how.web_port is None and passed > over:
            return Ended(how="error", because=f"locust did not end within {over:.0f} s; see locust.log in the folder")
    if child.code and recorded(Path(plan.folder)) is None:
        # It never came to make load: the locust file, a port that is taken, workers that never came.
        raise CannotRun(f"locust could not begin, and ended with exit code {child.code}: {child.last_lines()}")
    if stop.asked:
        return Ended(how="interrupted", because="interrupted")
    return Ended()


def _log(folder: Path) -> str:
    return last_lines(folder / "locust.log") or "it said nothing"


def _last_words(service: Service) -> str:
    if service.child is None:
        return f"and takes no connections at {service.url} any more"
    return f"with exit code {service.child.code}: {service.child.last_lines() or 'it said nothing'}"


def recorded(folder: Path) -> Tally | None:
    """Return what was recorded: at the end, or where there was none, last; None where nothing was."""
    for name in ("tally.json", "live.json"):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode((folder / name).read_bytes(), type=Tally)
    return None


class Live:
    """Reads ``live.json`` when it is another than before."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "live.json"
        self._seen = 0
        self._tally: Tally | None = None

    def read(self) -> Tally | None:
        """Return what was recorded by now, None before the first time."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            changed = self._path.stat().st_mtime_ns
            if changed != self._seen:
                self._tally = msgspec.json.decode(self._path.read_bytes(), type=Tally)
                self._seen = changed
        return self._tally


def work(plan_file: Path, how: How) -> int:
    """Be a worker of a run over several machines; return its exit code.

    Raises:
        CannotRun: where locust is missing, or the plan cannot be read.
    """
    if importlib.util.find_spec("locust") is None:
        raise CannotRun("locust is not installed in this environment; install it with: pip install locust")
    plan = read_plan(plan_file)
    log = Path(plan.folder) / f"worker-{os.getpid()}.log"
    with written_in(log.parent):
        log.parent.mkdir(parents=True, exist_ok=True)
    with (
        stoppable() as stop,
        Child(how.command(plan), log, variables(LOOPRIG_LOAD_PLAN=str(plan_file.absolute()))) as child,
    ):
        while child.wait(LOOK_S) is None:
            if stop.asked:
                child.end(LEAVE_S)
                return 130
        if child.code:
            raise CannotRun(f"the worker ended with exit code {child.code}: {child.last_lines()}")
    return 0


def read_plan(path: Path) -> Plan:
    """Read the plan that a run wrote.

    Raises:
        CannotRun: where there is none, or it is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise CannotRun(f"cannot read the plan {path}: {error.strerror}; a run writes it as plan.json") from error
    except msgspec.DecodeError as error:
        raise CannotRun(f"{path} is no plan of a load run: {error}") from error


def write(folder: Path, files: Sequence[tuple[str, str]]) -> list[Path]:
    """Write files whole or not at all, by a temporary name; return their paths.

    Raises:
        CannotRun: where that fails.
    """
    made = []
    with written_in(folder):
        for name, text in files:
            new = folder / f"{name}.new"
            try:
                new.write_text(text, encoding="utf-8")
                new.replace(folder / name)
            finally:
                with contextlib.suppress(OSError):
                    new.unlink()
            made.append(folder / name)
    return made
