"""What a loop costs as a service: CPU time a turn beside the same turn in process, tokens relayed, memory a session.

``python -m tests.perf.service --turns 2000 --streams 200 --sessions 1000`` prints the ratios with the figures that they
are of; the sizes say how long that takes. CPU time is the service's own, as it tells it; a client on a plain socket in
this process asks. The two sides of a ratio take turns, and the median of the rounds is told.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

import psutil

from looprig import content
from looprig.clock import RealClock
from looprig.runner import run
from looprig.scenario import Scenario
from looprig.service.events import Events
from looprig.serving.pacing import cut
from looprig.target import find
from looprig.workload import Workload
from tests.perf.serving import ROOT, Server, cpu_s, running
from tests.perf.targets import Section, Target, section, table

LOOP = "reference"
HISTORY = 300
ANSWER = 4000
"""Characters of an answer whose tokens are relayed: 1,000 of them."""

LEAST_S = 0.01
"""The step of the system's account of CPU time."""

SCENARIO = ROOT / "tests/perf/hundred.py"


class Sizes(NamedTuple):
    """How much is measured: turns and streams of a round, rounds, sessions that are held."""

    turns: int = 2000
    streams: int = 200
    sessions: int = 1000
    rounds: int = 3


def scenario(**given: int) -> Scenario:
    """Return the scenario with parameters."""
    return content.make_scenario(str(SCENARIO), 1, {name: str(value) for name, value in given.items()})


# ---------------------------------------------------------------------------------------------------------------------
# The other side of a ratio: the least that could stream


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Stream as many events as an answer of the service has, each sent by itself, as one writes it at first."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    wire = Events()
    for piece in cut("some words that fill the line " * (ANSWER // 30 + 1))[: ANSWER // 4]:
        await send({"type": "http.response.body", "body": wire.texts([piece]), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def bare() -> Server:
    """Return the server of this module's application."""
    words = ["-m", "uvicorn", "tests.perf.service:app", "--port", "PORT", "--loop", "uvloop", "--http", "httptools"]
    return Server("bare", [sys.executable, *words, "--no-access-log", "--log-level", "error", "--lifespan", "off"])


def service(*words: str) -> Server:
    """Return the service with this loop and scenario."""
    start = ["-m", "looprig", "serve", "loop", "--port", "PORT", "--loop", LOOP, "--scenario", str(SCENARIO)]
    return Server("service", [sys.executable, *start, *words])


# ---------------------------------------------------------------------------------------------------------------------
# A client that costs little


class Client:
    """One connection, on which one request follows the other."""

    def __init__(self, port: int) -> None:
        self._plug = socket.create_connection(("127.0.0.1", port), 60)
        self._plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: Any) -> bytes:
        """Send JSON, and return all that comes back."""
        raw = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(raw)}\r\n\r\n".encode()
        self._plug.sendall(head + raw)
        found = b""
        while True:
            part = self._plug.recv(1 << 20)
            if not part:
                raise RuntimeError(f"the connection ended: {found[:300]!r}")
            found += part
            if found.endswith(b"\r\n0\r\n\r\n") or _is_whole(found):
                return found

    def open(self, seed: int) -> str:
        """Open a session."""
        found = self.post("/v1/sessions", {"seed": seed})
        ident: str = json.loads(found.partition(b"\r\n\r\n")[2])["id"]
        return ident

    def say(self, session: str, text: str) -> bytes:
        """Say something, and return the events."""
        found = self.post(f"/v1/sessions/{session}/turns", {"text": text})
        if b"event: end" not in found or b'"violations":[]' not in found:
            raise RuntimeError(f"a turn went wrong: {found[-500:]!r}")
        return found

    def close(self) -> None:
        """Leave."""
        self._plug.close()


def _is_whole(found: bytes) -> bool:
    """Whether a response that tells its length is there, all of it."""
    head, end, body = found.partition(b"\r\n\r\n")
    told = re.search(rb"content-length: (\d+)", head)
    return bool(end) and told is not None and len(body) >= int(told[1])


@contextlib.contextmanager
def connected(port: int) -> Iterator[Client]:
    """Connect as long as the block lasts."""
    client = Client(port)
    try:
        yield client
    finally:
        client.close()


def own_cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds that *work* takes in this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


def turns(sizes: Sizes) -> Section:
    """Measure the CPU time of a turn: served; in process as `looprig run` plays it; and with nothing watched at all."""
    rows: list[list[str]] = []
    by_kind: dict[str, list[tuple[float, float, float]]] = {}
    for kind, rounds in (("plain", 0), ("one tool call", 1)):
        script = scenario(turns=sizes.turns, rounds=rounds)
        with running(service("--set", f"rounds={rounds}", "--turn-limit", "600s")) as (port, process):
            for _ in range(sizes.rounds):
                seen = (_served(port, process, script), *_in_process(script))
                by_kind.setdefault(kind, []).append(seen)
        typical = [median(column) / sizes.turns * 1e6 for column in zip(*by_kind[kind], strict=True)]
        rows.append([kind, *(f"{value:.0f}" for value in typical)])
    ratios = [median(one[0] / one[1] for one in seen) for seen in by_kind.values()]
    target = Target("CPU time of a turn, served by in process", f"{max(ratios):.2f} x", "3 x", max(ratios) <= 3)
    heads = ["turn", "served", "in process, judged", "in process, nothing watched"]
    told = f"CPU time of a turn in us, median of {sizes.rounds} rounds of {sizes.turns} turns in one session:"
    return Section("Service overhead", _command(sizes), [target], [told, table(heads, rows)])


def _served(port: int, process: psutil.Process, script: Scenario) -> float:
    with connected(port) as client:
        session = client.open(1)
        before = cpu_s(process)
        for turn in script.turns:
            client.say(session, turn.say)
        return max(LEAST_S, cpu_s(process) - before)


def _in_process(script: Scenario) -> tuple[float, float]:
    factory = find(LOOP).make()
    judged = own_cpu_s(lambda: run(script, factory, clock=RealClock()))
    with Workload(factory, script, RealClock()) as workload:
        return judged, own_cpu_s(workload.play)


def tokens(sizes: Sizes) -> Section:
    """Measure the tokens that are relayed in a CPU second of the server, by the service and by a bare stream."""
    with running(service("--set", f"answer={ANSWER}")) as one, running(bare()) as other:
        rates = [
            (_relayed(one, sizes.streams, False), _relayed(other, sizes.streams, True)) for _ in range(sizes.rounds)
        ]
    ratio = median(ours / bares for ours, bares in rates)
    target = Target("tokens relayed, by those of a bare stream", f"{ratio:.2f} x", "0.5 x", ratio >= 0.5)
    rows = [[f"{ours:,.0f}", f"{bares:,.0f}"] for ours, bares in rates]
    told = f"Tokens in a CPU second of the server, rounds of {sizes.streams} answers of {ANSWER // 4} tokens:"
    return Section("Tokens relayed", _command(sizes), [target], [told, table(["service", "bare"], rows)])


def _relayed(server: tuple[int, psutil.Process], streams: int, is_bare: bool) -> float:
    port, process = server
    with connected(port) as client:
        session = "" if is_bare else client.open(1)
        before, count = cpu_s(process), 0
        for number in range(streams):
            found = client.post("/", {}) if is_bare else client.say(session, f"[#s0t{number}] go on")
            count += found.count(b"event: text")
        return count / max(LEAST_S, cpu_s(process) - before)


def memory(sizes: Sizes) -> Section:
    """Measure the memory of the service a session, each with a history of its own, all connected."""
    script = [scenario(turns=HISTORY // 2).turns[number] for number in range(HISTORY // 2)]
    with running(service("--sessions-most", str(sizes.sessions + 10))) as (port, process):
        with connected(port) as client:
            _filled(client, 1_000_000, script)
        before = process.memory_info().rss
        clients = [Client(port) for _ in range(sizes.sessions)]
        ends = [_filled(client, seed, script) for seed, client in enumerate(clients)]
        grown = process.memory_info().rss - before
        for client in clients:
            client.close()
    each = grown / sizes.sessions / 1000
    whole = all(b'"history_messages":%d' % HISTORY in end for end in ends)
    target = Target(f"memory a session of {HISTORY} messages", f"{each:.1f} kB", "100 kB", each <= 100 and whole)
    told = f"Resident memory grew by {grown / 1e6:.1f} MB with {sizes.sessions} sessions, each on a connection."
    return Section("Memory", _command(sizes), [target], [told])


def _filled(client: Client, seed: int, script: Sequence[Any]) -> bytes:
    session = client.open(seed)
    mine = content.make_scenario(str(SCENARIO), seed, {"turns": str(len(script))})
    return [client.say(session, turn.say) for turn in mine.turns][-1]


PARTS = {"turns": turns, "tokens": tokens, "memory": memory}


def _command(sizes: Sizes) -> str:
    return "python -m tests.perf.service " + " ".join(f"--{name} {value}" for name, value in sizes._asdict().items())


def main(words: Sequence[str] | None = None) -> None:
    """Print the parts that are asked for, all of them by default; end with 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    for name, value in Sizes()._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = vars(parser.parse_args(words))
    chosen = given.pop("parts") or list(PARTS)
    made = [PARTS[name](Sizes(**given)) for name in chosen]
    print("\n\n".join(map(section, made)))
    sys.exit(any(not target.holds for part in made for target in part.targets))


if __name__ == "__main__":
    main()
