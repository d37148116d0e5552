"""Holds what a load run says against a service that knows the truth; `python -m tests.perf.load_accuracy` prints it.

Two questions:

- **accuracy**: TTFT as the generator reports it, against the service's own record of the same turns, at a load that
  takes about half of what one process can make (``--rate``, of turns a second with ``--tokens`` tokens each).
- **coordinated omission**: the service stands still for one second of eight, at 100 arrivals a second. Arrivals do not
  wait for each other, so that p90 follows from the schedule alone; users who wait for their answers see next to nothing
  of it, and are measured beside it, with locust's own means.

It ends with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from looprig.load.arrivals import arrivals
from looprig.load.histogram import Histogram
from looprig.load.plan import Arrivals, Plan, Talk, Think
from looprig.load.recorded import Tally
from looprig.load.stages import hold
from tests.loadtests.rig import known_service, locust, tally_of, truth
from tests.perf.targets import Section, Target, report, table

P90_OFF = 0.15
TTFT_OFF = 0.02
TTFT_OFF_S = 0.002

CLOSED_USERS = """
from locust import FastHttpUser, constant_throughput, task

class Paced(FastHttpUser):
    host = "{url}"
    wait_time = constant_throughput({each})

    @task
    def turn(self):
        self.client.post("/v1/sessions/n1/turns", json={{"text": "hello"}}, headers={{"Accept-Encoding": "identity"}})
"""


class Sizes(NamedTuple):
    """How much is measured. ``rate`` is of turns a second, times are seconds."""

    rate: float = 150.0
    seconds: float = 30.0
    tokens: int = 20
    ttft_ms: float = 100.0
    stall_rate: float = 100.0
    stall_of: float = 8.0
    stall_at: float = 3.0
    stall_for: float = 1.0
    closed_users: int = 10


SMOKE = Sizes(rate=20.0, seconds=2.0, tokens=5, stall_rate=40.0, stall_of=3.0, stall_at=1.0, stall_for=0.5)


def quantile(values: Sequence[float], q: float) -> float:
    """Return the value that a share *q* does not exceed, as `Histogram.quantile` defines it."""
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]


class Accuracy(NamedTuple):
    """What was reported and what was true, of TTFT from the moment of sending."""

    reported: Histogram
    true: list[float]
    tally: Tally

    def off_s(self, q: float) -> float:
        """Return reported minus true."""
        return (self.reported.quantile(q) or 0.0) - quantile(self.true, q)

    def near(self, q: float) -> bool:
        """Say whether a quantile is within 2 ms or 2 % of the truth."""
        return abs(self.off_s(q)) <= max(TTFT_OFF_S, TTFT_OFF * quantile(self.true, q))


def accuracy(sizes: Sizes) -> Accuracy:
    """Run one turn a session against scripted TTFT and ITL; the truth is the service's record."""
    options = [f"--ttft-ms={sizes.ttft_ms}", "--sigma=0.5", "--itl-ms=10", f"--tokens={sizes.tokens}"]
    with tempfile.TemporaryDirectory() as folder, known_service(*options) as url:
        plan = Plan(
            url=url,
            folder=folder,
            stages=hold(sizes.rate, sizes.seconds),
            talk=Talk(turns=1),
            stop_timeout_s=30.0,
        )
        ran(locust(plan))
        tally = tally_of(plan)
        turns = truth(url)["turns"]
    return Accuracy(
        Histogram.from_builtins(tally.histograms["ttft_send"]), [first - arrived for arrived, first, _ in turns], tally
    )


class Omission(NamedTuple):
    """p90 of TTFT, in seconds, and what it should be.

    ``at_once`` follows from the schedule alone, for a service that after its stall catches up in no time; ``analytic``
    lets it work off what has come in meanwhile, at the pace that was measured of it.
    """

    at_once: float
    analytic: float
    reported: float
    each: float
    """Seconds that the service takes for each of many requests that come together."""
    turns: int

    @property
    def off(self) -> float:
        """By which share the report is off."""
        return self.reported / self.analytic - 1


SERVICE_S = 0.01
"""How long the service takes that stands still once."""


def stalling(sizes: Sizes) -> list[str]:
    """Return the options of a service that stands still once."""
    stall = [f"--freeze-at-s={sizes.stall_at}", f"--freeze-s={sizes.stall_for}"]
    return [f"--ttft-ms={SERVICE_S * 1000}", "--tokens=1", *stall]


def omission(sizes: Sizes, seed: int = 1) -> Omission:
    """Let the service stand still once, under arrivals of an open loop."""
    with tempfile.TemporaryDirectory() as folder, known_service(*stalling(sizes)) as url:
        plan = Plan(
            url=url,
            folder=folder,
            seed=seed,
            protocol="chat-completions",  # one request a turn: the analytic value has no session to be opened
            stages=hold(sizes.stall_rate, sizes.stall_of),
            arrivals=Arrivals(),
            talk=Talk(turns=1, think=Think(median_s=0)),
            stop_timeout_s=30.0,
        )
        ran(locust(plan))
        ttft = Histogram.from_builtins(tally_of(plan).histograms["ttft"])
    due = list(arrivals(plan.stages, plan.arrivals, seed))
    starts = due[0] + sizes.stall_at  # the service's own clock begins with the first request
    ends = starts + sizes.stall_for
    each = pace(round(sizes.stall_rate * sizes.stall_for))
    at_once, analytic = [], []
    waiting = 0
    for at_s in due:
        # What arrives in the stall waits for its end; so does what was being answered when it began.
        stalled = starts - SERVICE_S <= at_s < ends
        waiting += stalled
        at_once.append(SERVICE_S + (ends - at_s if stalled else 0.0))
        analytic.append(at_once[-1] + (waiting * each if stalled else 0.0))
    return Omission(quantile(at_once, 0.9), quantile(analytic, 0.9), ttft.quantile(0.9) or 0.0, each, ttft.count)


def pace(requests: int) -> float:
    """Return how many seconds the known service takes for each of so many requests that come together.

    That is asked by another client than the one that is judged: plain asyncio, each request on a connection of its own.
    """

    async def ask(host: str, port: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        body = b'{"messages": []}'
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        writer.write(head + body)
        await reader.readuntil(b"data: [DONE]")
        writer.close()

    async def together(host: str, port: int) -> float:
        started = time.perf_counter()
        await asyncio.gather(*(ask(host, port) for _ in range(requests)))
        return time.perf_counter() - started

    with known_service(f"--ttft-ms={SERVICE_S * 1000}", "--tokens=1") as url:
        host, _, port = url.removeprefix("http://").partition(":")
        asyncio.run(together(host, int(port)))  # the first time, everything is slower
        return max(asyncio.run(together(host, int(port))) - SERVICE_S, 0.0) / requests


def closed_p90(sizes: Sizes) -> float:
    """Return p90 in seconds as locust's own paced users see the same service, at the same rate."""
    with tempfile.TemporaryDirectory() as folder, known_service(*stalling(sizes)) as url:
        file = Path(folder) / "paced.py"
        file.write_text(CLOSED_USERS.format(url=url, each=sizes.stall_rate / sizes.closed_users))
        users = [f"--users={sizes.closed_users}", f"--spawn-rate={sizes.closed_users}"]
        command = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--json", "-f", str(file), *users]
        surroundings = {name: value for name, value in os.environ.items() if name != "LOCUST_SKIP_MONKEY_PATCH"}
        done = subprocess.run(
            [*command, f"--run-time={math.ceil(sizes.stall_of)}"],
            env=surroundings,
            capture_output=True,
            text=True,
            check=False,
        )
        rows = json.loads(done.stdout or "[]")
    if not rows:
        raise SystemExit(f"locust's own users made no requests, and it ended with {done.returncode}:\n{done.stderr}")
    (row,) = rows
    times = [float(ms) / 1000 for ms, count in row["response_times"].items() for _ in range(count)]
    return quantile(times, 0.9)


def ran(done: subprocess.CompletedProcess[str]) -> None:
    """Say what went wrong, where locust did not come to its end."""
    if done.returncode:
        raise SystemExit(f"locust ended with {done.returncode}:\n{done.stderr}")


def accuracy_part(sizes: Sizes) -> Section:
    found = accuracy(sizes)
    targets = [
        Target(
            f"TTFT p{q * 100:g} against the service's own record",
            f"{found.off_s(q) * 1000:+.2f} ms of {quantile(found.true, q) * 1000:.1f} ms",
            "2 ms or 2 %",
            found.near(q),
        )
        for q in (0.5, 0.99)
    ]
    targets.append(
        Target(
            "turns that the service saw and the record has",
            f"{len(found.true):,} and {found.reported.count:,}",
            "equal",
            len(found.true) == found.reported.count,
        )
    )
    beat = Histogram.from_builtins(found.tally.histograms["gen.beat"])
    lag = Histogram.from_builtins(found.tally.histograms["gen.send_lag"])
    (facts,) = found.tally.facts.values()
    rows = [
        ["turns", f"{found.reported.count:,}"],
        ["generator's share of a core", f"{facts['cpu_share']:.0%}"],
        ["lateness of the heartbeat, p50 / p99", ms(beat, 0.5, 0.99)],
        ["lateness of a start, p50 / p99", ms(lag, 0.5, 0.99)],
    ]
    command = f"python -m tests.perf.load_accuracy --rate {sizes.rate:g} --seconds {sizes.seconds:g}"
    return Section("Accuracy", command, targets, [table(["of the run", ""], rows)])


def omission_part(sizes: Sizes) -> Section:
    found, closed = omission(sizes), closed_p90(sizes)
    targets = [
        Target(
            f"p90 of {found.turns:,} arrivals, from the due time",
            f"{found.reported * 1000:.0f} ms of {found.analytic * 1000:.0f} ms ({found.off:+.1%}); of a service that "
            f"catches up at once {found.at_once * 1000:.0f} ms",
            "within 15 %",
            abs(found.off) <= P90_OFF,
        ),
        Target(
            "p90 of as many requests by users who wait",
            f"{closed * 1000:.0f} ms, 1/{found.reported / closed:.0f} of that",
            "at most 1/10: the stall must be one that they miss",
            closed * 10 <= found.reported,
        ),
    ]
    return Section("Coordinated omission", "python -m tests.perf.load_accuracy", targets)


def ms(histogram: Histogram, *quantiles: float) -> str:
    """Return quantiles in milliseconds."""
    return " / ".join(f"{(histogram.quantile(q) or 0.0) * 1000:.2f} ms" for q in quantiles)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in Sizes()._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    sizes = Sizes(**vars(parser.parse_args(arguments)))
    report(
        "The load generator against a service that knows the truth",
        "`python -m tests.perf.load_accuracy` prints this.",
        ["The service, the generator and whatever else ran shared the machine's cores."],
        [partial(accuracy_part, sizes), partial(omission_part, sizes)],
    )


if __name__ == "__main__":
    main()
