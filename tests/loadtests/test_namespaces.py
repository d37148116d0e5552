"""A master, two workers and the service, each with a network of its own, as on four machines.

Namespaces behind a bridge: ``master``, ``left``, ``right`` and ``service``, in 10.77.0.0/24. That needs root and a
kernel that allows it; where it is not permitted, the tests are skipped and say so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from looprig.load.histogram import Histogram
from looprig.load.plan import Arrivals, Plan, Talk, Think
from looprig.load.stages import hold
from tests.loadtests.rig import command, environment, known_service, tally_of

ADDRESSES = {"master": "10.77.0.1", "left": "10.77.0.2", "right": "10.77.0.3", "service": "10.77.0.4"}


def ip(*arguments: str) -> None:
    """Run ``ip``; skip where it is not permitted."""
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30)
    except OSError as error:
        pytest.skip(f"no network namespaces here: {error}")
    if done.returncode:
        pytest.skip(f"no network namespaces here: ip {' '.join(arguments)}: {done.stderr.strip()}")


class Net(NamedTuple):
    """Namespaces by the names above, and how to run something in one."""

    mark: str

    def name(self, place: str) -> str:
        return f"lr{self.mark}{place}"

    def inside(self, place: str) -> list[str]:
        return ["ip", "netns", "exec", self.name(place)]

    def cut(self, place: str) -> None:
        """Pull the plug of *place*."""
        ip("-n", self.name(place), "link", "set", "eth0", "down")


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    if shutil.which("ip") is None:
        pytest.skip("no network namespaces here: there is no ip command (package iproute2)")
    made = Net(f"{os.getpid() % 10000}")
    bridge = made.name("bridge")
    try:
        ip("netns", "add", bridge)
        ip("-n", bridge, "link", "add", "br0", "type", "bridge")
        ip("-n", bridge, "link", "set", "br0", "up")
        for place, address in ADDRESSES.items():
            ip("netns", "add", made.name(place))
            port = f"to-{place}"
            ip("-n", bridge, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", made.name(place))
            ip("-n", bridge, "link", "set", port, "master", "br0")
            ip("-n", bridge, "link", "set", port, "up")
            for arguments in (["addr", "add", f"{address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
                ip("-n", made.name(place), *arguments)
            ip("-n", made.name(place), "link", "set", "lo", "up")
        yield made
    finally:
        for place in ("bridge", *ADDRESSES):
            subprocess.run(["ip", "netns", "del", made.name(place)], capture_output=True, timeout=30)


def truth(net: Net, url: str) -> dict[str, int]:
    """Ask the service what it counted, from a place of its network."""
    code = f"import urllib.request; print(urllib.request.urlopen('{url}/truth', timeout=30).read().decode())"
    done = subprocess.run(
        [*net.inside("master"), sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


def run(net: Net, plan: Plan, cut_after: int | None = None) -> tuple[int, dict[str, int]]:
    """Run *plan* with a master and two workers; cut a worker off after so many turns. Return exit code and truth."""
    surroundings = environment(plan)
    master = ["--master", "--master-bind-host", ADDRESSES["master"], "--expect-workers", "2"]
    worker = ["--worker", "--master-host", ADDRESSES["master"]]
    commands = {"master": command(*master), "left": command(*worker), "right": command(*worker)}
    processes = {}
    with open(Path(plan.folder) / "log", "w") as log:
        try:
            for place, each in commands.items():
                processes[place] = subprocess.Popen(
                    [*net.inside(place), *each], env=surroundings, cwd=plan.folder, stdout=log, stderr=log
                )
            if cut_after is not None:
                until = time.monotonic() + 60
                while truth(net, plan.url)["started"] < cut_after:
                    assert time.monotonic() < until, (Path(plan.folder) / "log").read_text()
                    time.sleep(0.2)
                net.cut("right")
            code = processes["master"].wait(120)
            return code, truth(net, plan.url)
        finally:
            for process in processes.values():
                process.kill()
                process.wait()


def plan_for(url: str, folder: Path, seconds: float) -> Plan:
    return Plan(
        url=url,
        folder=str(folder),
        stages=hold(40.0, seconds),
        arrivals=Arrivals(kind="constant"),
        talk=Talk(turns=2, think=Think(median_s=0.05, sigma=0.1)),
        stop_timeout_s=3.0,
        workers=2,
    )


def test_two_machines_count_what_a_third_saw(net: Net, tmp_path: Path):
    """
    Over a network, two workers make together exactly the arrivals of the plan, and the record is what the service saw.
    """
    options = ["--host", ADDRESSES["service"], "--ttft-ms", "5"]
    with known_service(*options, prefix=net.inside("service")) as url:
        plan = plan_for(url, tmp_path, 1.0)
        code, seen = run(net, plan)

    assert 0 == code, (tmp_path / "log").read_text()
    tally = tally_of(plan)
    assert 40 == tally.counts["sessions"] == seen["opened"]
    assert tally.counts["finished"] == seen["started"] >= 40
    assert tally.counts["finished"] == Histogram.from_builtins(tally.histograms["ttft"]).count
    assert (2, 0) == (tally.workers_seen, tally.workers_lost)


def test_a_cut_cable_is_a_lost_worker(net: Net, tmp_path: Path):
    """
    A worker whose link is cut is lost in the record, although locust itself goes on and ends with 0.
    """
    options = ["--host", ADDRESSES["service"], "--ttft-ms", "5"]
    with known_service(*options, prefix=net.inside("service")) as url:
        plan = plan_for(url, tmp_path, 6.0)
        code, _ = run(net, plan, cut_after=10)

    assert 0 == code, (tmp_path / "log").read_text()
    tally = tally_of(plan)
    assert (2, 1) == (tally.workers_seen, tally.workers_lost)
    assert tally.counts["offered"] > 80
