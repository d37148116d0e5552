"""What tests of the load tests share: the known service, locust as a process of its own, and locust in this one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"  # before anybody imports locust: it would patch pytest's own process

import gevent
import msgspec
from locust.env import Environment

from looprig.content import load
from looprig.load.plan import Plan
from looprig.load.recorded import Tally

ROOT = Path(__file__).parents[2]
LOADTESTS = ROOT / "loadtests"
CHAT = LOADTESTS / "chat.py"
KNOWN = Path(__file__).with_name("known_service.py")

users: Any = load(LOADTESTS / "users.py")
station: Any = load(LOADTESTS / "_station.py")


@contextmanager
def known_service(*options: str, prefix: Sequence[str] = ()) -> Iterator[str]:
    """Run the known service with *options*; give its address."""
    command = [*prefix, sys.executable, str(KNOWN), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            process.wait(30)


def get(url: str, path: str) -> Any:
    """Return what the known service says at *path*."""
    with urlopen(f"{url}{path}", timeout=60) as answer:  # noqa: S310 - our own service
        return json.load(answer)


def truth(url: str) -> dict[str, Any]:
    """Return what the known service recorded."""
    told: dict[str, Any] = get(url, "/truth")
    return told


def environment(plan: Plan) -> dict[str, str]:
    """Write *plan* into its folder; return the environment of a locust process that follows it."""
    folder = Path(plan.folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plan.json"
    path.write_bytes(msgspec.json.encode(plan))
    inherited = {name: value for name, value in os.environ.items() if name != "LOCUST_SKIP_MONKEY_PATCH"}
    return {**inherited, "LOOPRIG_LOAD_PLAN": str(path), "PYTHONPATH": str(ROOT)}


def command(*options: str, file: Path = CHAT) -> list[str]:
    """Return the command that runs locust without its web page."""
    return [sys.executable, "-m", "locust", "--headless", "--only-summary", "-f", str(file), *options]


def locust(plan: Plan, *options: str, file: Path = CHAT) -> subprocess.CompletedProcess[str]:
    """Run locust with *plan* to its end, in a process of its own and from the plan's folder."""
    surroundings = environment(plan)
    return subprocess.run(
        command(*options, file=file), env=surroundings, cwd=plan.folder, capture_output=True, text=True, timeout=300
    )


def tally_of(plan: Plan) -> Tally:
    """Return what a run of *plan* has left."""
    return msgspec.json.decode((Path(plan.folder) / "tally.json").read_bytes(), type=Tally)


def two_processes() -> list[str]:
    """Return locust's options for a master with two workers, on a port that nobody uses."""
    port = str(free_port())
    return ["--processes", "2", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]


def free_port() -> int:
    """Return a port of this machine that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def in_process(plan: Plan, kind: type[Any] | None = None) -> Iterator[tuple[Environment, Any]]:
    """Set locust up in this process, with users of *kind*; give its environment and its station."""
    before = os.environ.get("LOOPRIG_LOAD_PLAN")
    os.environ["LOOPRIG_LOAD_PLAN"] = environment(plan)["LOOPRIG_LOAD_PLAN"]
    base = kind or (users.SessionChat if plan.protocol == "session" else users.DirectChat)
    surroundings = Environment(user_classes=[type("Chat", (base,), {"abstract": False})], host=plan.url)
    surroundings.create_local_runner()
    try:
        station.prepare(surroundings)
        where = station.station_of(surroundings)
        yield surroundings, where
        where.run.pool.close()
    finally:
        assert surroundings.runner is not None
        surroundings.runner.quit()
        if before is None:
            del os.environ["LOOPRIG_LOAD_PLAN"]
        else:
            os.environ["LOOPRIG_LOAD_PLAN"] = before


def converse(plan: Plan, kind: type[Any] | None = None, timeout_s: float = 60) -> Tally:
    """Have one session, as an arrival would; return what was recorded."""
    with in_process(plan, kind) as (surroundings, where):
        where.run.begin(0, 1)
        user: Any = surroundings.user_classes[0](surroundings)
        where.run.recorder.offered(0.0)
        where.run.owed += 1
        talking = gevent.spawn(user._converse, where.run, 0, 0.0)
        talking.join(timeout_s)
        assert talking.ready(), "the session did not come to its end"
        talking.get()
        recorded: Tally = where.tally()
        return recorded


def play(plan: Plan, kind: type[Any] | None = None, timeout_s: float = 300) -> Tally:
    """Run *plan* to its end in this process; return what was recorded."""
    with in_process(plan, kind) as (surroundings, where):
        runner = surroundings.runner
        assert runner is not None
        runner.start_shape()
        with gevent.Timeout(timeout_s):
            where.run.begun.wait()
            where.run.done.wait()
        recorded: Tally = where.tally()
        return recorded
