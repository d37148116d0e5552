"""Where a run is led from: locust's events, workers and their tallies, the files that `looprig load` reads.

A single process is its own station. With workers, the master gives each its share when the run begins; they send what
they recorded up to then each second, and once more at their end. A worker whose last word never came is lost.
"""

from __future__ import annotations

import gc
import logging
import os
import platform
import signal
import sys
import time
from itertools import accumulate
from pathlib import Path
from typing import Any

import gevent
import locust
import msgspec
from locust import FastHttpUser, LoadTestShape, events, runners
from locust.env import Environment
from locust.exception import RPCError

from looprig.load.arrivals import level
from looprig.load.giving_up import gives_up, good_shares
from looprig.load.plan import Plan
from looprig.load.recorded import Tally
from looprig.load.recorder import merged, plan_digest

from ._run import Run

logger = logging.getLogger("looprig.load")

PLAN_VARIABLE = "LOOPRIG_LOAD_PLAN"
GRACE_S = 1.0
"""How long turns may go on that are under way when somebody stops a run."""

SPAWN_RATE = 100.0
"""Users of a closed loop that a process starts a second; locust warns of more."""

PATIENCE_S = 15.0
"""How long after the end the last words of workers are waited for."""


class PlanError(Exception):
    """There is no plan, or it cannot be read."""


def read_plan() -> Plan:
    """Return the plan that the environment names.

    Raises:
        PlanError: where there is none, or it is none.
    """
    name = os.environ.get(PLAN_VARIABLE)
    if not name:
        raise PlanError(f"{PLAN_VARIABLE} must name a plan's file; `looprig load` writes one and starts locust with it")
    try:
        return msgspec.json.decode(Path(name).read_bytes(), type=Plan)
    except OSError as error:
        raise PlanError(f"the plan {name} cannot be read: {error}") from None
    except msgspec.DecodeError as error:
        raise PlanError(f"the plan {name} is not one: {error}") from None


STATIONS: dict[int, Station] = {}


def station_of(environment: Environment) -> Station:
    """Return the station of *environment*."""
    return STATIONS[id(environment)]


def open_files() -> int | None:
    """Raise the limit of open files as far as we may, and return it: each conversation under way needs one."""
    try:
        import resource
    except ImportError:  # not on this system
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if 0 <= hard < 1_048_576 else 1_048_576
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            return soft
    return max(soft, wanted)


class Station:
    """What one process of locust has: a run, or on the master those of its workers."""

    def __init__(self, environment: Environment, plan: Plan) -> None:
        self.environment = environment
        self.plan = plan
        self.folder = Path(plan.folder)
        runner = environment.runner
        self.is_master = isinstance(runner, runners.MasterRunner)
        self.is_worker = isinstance(runner, runners.WorkerRunner)
        self.began: float | None = None
        self._number = 0
        self._stages_over = 0
        self.gave_up = ""
        self._shares: list[str] = []
        self._tallies: dict[str, Tally] = {}
        self._final: set[str] = set()
        self.run: Run | None = None if self.is_master else Run(plan, self._name(runner), self._facts())

    def _name(self, runner: Any) -> str:
        return f"worker {runner.client_id}" if self.is_worker else "process"

    def _facts(self) -> dict[str, Any]:
        return {
            "locust": locust.__version__,
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
            "open_files": open_files(),
            "plan": plan_digest(self.plan),
        }

    # The course of a run

    def begin(self) -> None:
        """Start the run: here, or at the workers that are there."""
        self._settle()
        self.began = time.perf_counter()
        self._tallies.clear()
        self._final.clear()
        self._stages_over, self.gave_up = 0, ""
        if self.run is not None:
            if not self.is_worker:
                self.run.begin(0, 1)
            return
        runner = self.environment.runner
        assert isinstance(runner, runners.MasterRunner)
        ready = [client.id for client in runner.clients.ready + runner.clients.spawning + runner.clients.running]
        self._shares = ready
        self._number += 1
        for client in ready:
            self.give_share(client)

    def _settle(self) -> None:
        """Keep garbage collections short: what is there when a run begins stays there to its end."""
        if self.environment.parsed_options is not None:  # else the process is not ours
            gc.collect()
            gc.freeze()

    def give_share(self, client: str) -> None:
        """Tell a worker its part of the run that goes on. One that was not ready to hear it asks for it."""
        runner = self.environment.runner
        assert isinstance(runner, runners.MasterRunner)
        if client in self._shares:
            data = {
                "run": self._number,
                "index": self._shares.index(client),
                "of": len(self._shares),
                "plan": plan_digest(self.plan),
            }
            runner.send_message("looprig_share", data, client_id=client)

    def take_share(self, data: dict[str, Any]) -> None:
        """Begin as a worker, with the share that the master gives."""
        assert self.run is not None
        if data["run"] == self._number:
            return
        self._number = int(data["run"])
        if data["plan"] != plan_digest(self.plan):
            logger.error("this worker's plan is not the master's: copy the file that %s names", PLAN_VARIABLE)
            return
        self._settle()
        self.began = time.perf_counter()
        self.run.begin(int(data["index"]), int(data["of"]))
        gevent.spawn(self._say_last_word, self.run)

    def _say_last_word(self, run: Run) -> None:
        done = run.done
        done.wait()
        if run.done is done:
            self._send(final=True)
            # Locust has a worker sleep for so long after a stop, before it is ready for the next run.
            self.environment.stop_timeout = 0.0

    def _send(self, final: bool) -> None:
        runner = self.environment.runner
        assert runner is not None
        assert self.run is not None
        data = {"tally": msgspec.to_builtins(self.run.recorder.tally(self.run.now)), "final": final}
        runner.send_message("looprig_tally", data)

    def report(self, data: dict[str, Any]) -> None:
        """Add to a worker's report what it recorded so far."""
        if self.run is not None and self.run.begun.is_set():
            data["looprig_tally"] = msgspec.to_builtins(self.run.recorder.tally(self.run.now))

    def hear(self, client: str, tally: Any, final: bool) -> None:
        """Keep what a worker has said last; it is the whole of what it recorded, so that no message must come twice."""
        if client in self._final:
            return
        try:
            self._tallies[client] = msgspec.convert(tally, Tally)
        except msgspec.ValidationError as error:
            logger.error("worker %s sent no tally: %s", client, error)
            return
        if final:
            self._final.add(client)

    def is_done(self) -> bool:
        """Say whether everybody has come to an end, or cannot be waited for any longer."""
        if self.run is not None:
            return bool(self.run.done.is_set())
        missing = self._missing()
        if all(client in self._final or client in missing for client in self._shares):
            return True
        end = self.plan.duration_s
        return bool(end) and self.elapsed > end + self.plan.stop_timeout_s + PATIENCE_S

    @property
    def elapsed(self) -> float:
        return 0.0 if self.began is None else time.perf_counter() - self.began

    def _missing(self) -> set[str]:
        clients = self.environment.runner.clients  # type: ignore[union-attr]
        return {name for name in self._shares if name not in clients} | {client.id for client in clients.missing}

    def finish(self, grace_s: float, reason: str) -> None:
        """Bring the run to its end, if it is not there yet, and wait for that."""
        if self.began is None or self.is_done():
            return
        if self.run is not None:
            self.run.end(grace_s, reason)
            self.run.done.wait(grace_s + 6)
            return
        self._tell_end(grace_s, reason)
        patience = time.perf_counter() + grace_s + 6
        while not self.is_done() and time.perf_counter() < patience:
            gevent.sleep(0.05)

    def _tell_end(self, grace_s: float, reason: str) -> None:
        """Let the run come to its end, here or at the workers, without waiting for that."""
        if self.run is not None:
            self.run.end(grace_s, reason)
            return
        runner = self.environment.runner
        assert runner is not None
        try:
            runner.send_message("looprig_end", {"grace_s": grace_s, "reason": reason})
        except RPCError as error:
            logger.warning("a worker cannot be told that the run is over: %s", error)

    def look_for_reasons_to_give_up(self) -> None:
        """End a run early whose last stages were all too bad, where the plan asks for that."""
        below = self.plan.give_up_below
        if below is None or self.gave_up:
            return
        over = sum(self.elapsed >= end for end in accumulate(stage.duration_s for stage in self.plan.stages))
        if over == self._stages_over:
            return
        self._stages_over = over
        if gives_up(good_shares(self.plan.stages, self.tally().series, self.elapsed), below):
            self.gave_up = f"after {over} stages: in the last three, fewer than {below:g} of the turns were good"
            self._tell_end(self.plan.stop_timeout_s, "unfinished")

    # What is written

    def tally(self) -> Tally:
        """Return what all processes recorded, as far as it is known here."""
        if self.run is not None:
            if self.gave_up:
                self.run.recorder.fact("gave_up", self.gave_up)
            return self.run.recorder.tally(self.run.now)
        total = merged(self._tallies.values())
        if self.gave_up:
            total.facts["master"] = {"gave_up": self.gave_up}
        total.workers_seen = len(self._shares)
        silent = {client for client in self._shares if client not in self._final}
        total.workers_lost = len(silent if self.is_done() else silent & self._missing())
        return total

    def write(self, name: str) -> None:
        """Write the tally into the plan's folder, complete or not at all.

        Raises:
            OSError: where the disk or the folder does not take it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{name}.{os.getpid()}"
        try:
            temporary.write_bytes(msgspec.json.encode(self.tally()))
            temporary.replace(self.folder / name)
        finally:
            temporary.unlink(missing_ok=True)

    def write_live(self) -> None:
        """Write the tally each second, for those who watch."""
        while True:
            gevent.sleep(1.0)
            if self.began is None:
                continue
            try:
                self.write("live.json")
            except (OSError, ValueError) as error:
                logger.warning("live.json cannot be written: %s", error)

    def write_last(self) -> None:
        """Write tally.json, and say with the exit code whether that went well."""
        if self.is_worker:
            self.environment.process_exit_code = 0
            return
        if self.began is None:
            return
        try:
            self.write("tally.json")
        except (OSError, ValueError) as error:
            logger.error("what was recorded is lost: %s cannot be written: %s", self.folder / "tally.json", error)
            self.environment.process_exit_code = 1
        else:
            # Failed turns are for the verdict to judge; locust's own exit code would call each an error of the run.
            self.environment.process_exit_code = 0


class Shape(LoadTestShape):
    """How many users of locust's there are: one a process where sessions arrive, else as many as the stages say."""

    def __init__(self, station: Station) -> None:
        super().__init__()
        self._station = station
        self._last = 0

    def tick(self) -> tuple[int, float] | None:
        station = self._station
        if station.began is not None and station.is_done():
            return None
        station.look_for_reasons_to_give_up()
        workers = max(1, len(station._shares) or self._ready())
        if station.plan.users != "closed":
            self._last = self._last or workers
            return self._last, self._last
        if station.elapsed < station.plan.duration_s:
            self._last = max(1, round(level(station.plan.stages, station.elapsed)))
        return self._last, SPAWN_RATE * workers

    def _ready(self) -> int:
        runner = self._station.environment.runner
        return len(runner.clients.ready) if isinstance(runner, runners.MasterRunner) else 1


@events.init.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    """Read the plan, and take part in this process's course."""
    try:
        plan = read_plan()
        station = Station(environment, plan)
    except Exception as error:
        print(f"looprig load: {error}", file=sys.stderr)
        sys.exit(2)
    STATIONS[id(environment)] = station
    environment.host = plan.url
    for kind in environment.user_classes:
        kind.host = plan.url
        if station.run is not None and issubclass(kind, FastHttpUser):
            kind.client_pool = station.run.pool  # a pool for each of a thousand users is half of their memory
    environment.stop_timeout = plan.stop_timeout_s + PATIENCE_S
    if plan.stages or plan.users != "closed":
        shape = Shape(station)
        environment.shape_class = shape
        shape.runner = environment.runner
    _listen(environment, station)


def _listen(environment: Environment, station: Station) -> None:
    runner = environment.runner
    assert runner is not None
    hooks = environment.events
    hooks.test_stopping.add_listener(lambda **_: station.finish(GRACE_S, "interrupted"))
    if station.is_worker:
        runners.WORKER_REPORT_INTERVAL = 1.0
        runner.register_message("looprig_share", lambda msg, **_: station.take_share(msg.data))
        runner.register_message("looprig_end", lambda msg, **_: _end(station, msg.data))
        hooks.report_to_master.add_listener(lambda data, **_: station.report(data))
        runner.send_message("looprig_hello")
    else:
        hooks.test_start.add_listener(lambda **_: station.begin())
        hooks.test_stop.add_listener(lambda **_: station.write_last())
        runner.greenlet.spawn(station.write_live)
    if station.is_master:
        runner.register_message("looprig_hello", lambda msg, **_: station.give_share(msg.node_id))
        runner.register_message(
            "looprig_tally", lambda msg, **_: station.hear(msg.node_id, msg.data["tally"], msg.data["final"])
        )
        hooks.worker_report.add_listener(
            lambda client_id, data, **_: (
                station.hear(client_id, data["looprig_tally"], False) if "looprig_tally" in data else None
            )
        )
    hooks.quitting.add_listener(lambda **_: _quit(station))
    _heed_signals(environment, station)


def _heed_signals(environment: Environment, station: Station) -> None:
    """Let SIGINT and SIGTERM end a run in order.

    Python raises KeyboardInterrupt in whatever greenlet is at work, a turn for instance, which is then in no count; and
    locust heeds SIGTERM only once the shape is done, before which it dies of it.
    """

    def stop() -> None:
        station.finish(GRACE_S, "interrupted")
        gevent.get_hub().handle_system_error(KeyboardInterrupt, KeyboardInterrupt())

    options = environment.parsed_options
    if options is None:  # we are a part of somebody's program, whose signals are none of our business
        return
    gevent.signal_handler(signal.SIGINT, stop)
    if options.headless and not station.is_worker:
        gevent.signal_handler(signal.SIGTERM, stop)


def _end(station: Station, data: dict[str, Any]) -> None:
    if station.run is not None and station.began is not None:
        station.run.end(float(data["grace_s"]), str(data["reason"]))


def _quit(station: Station) -> None:
    station.finish(GRACE_S, "interrupted")
    if station.is_worker and station.began is not None:
        station._send(final=True)
    station.write_last()
