"""Requests per CPU second of the strict model, beside a bare application on the same server and another mock.

wrk sends; what is counted is the CPU time of the server's processes, because this machine is shared and the time on
the wall means nothing. The servers take turns, round by round, and the median of the rounds is told.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

from tests.perf.bare import CHUNKS, TEXT
from tests.perf.targets import Section, Target, section, table

ROOT = Path(__file__).parents[2]
CONNECTIONS = 32
SECONDS = 3
ROUNDS = 5

PROMPT = " ".join(["Tell me in some words what the weather of the next days will be like, where I am going."] * 4)


class Server(NamedTuple):
    """A server to measure: its name, and the command that starts it on a port."""

    name: str
    command: Sequence[str]
    path: str = "/v1/chat/completions"


def servers(folder: Path) -> list[Server]:
    """Return the servers; the other mock is left out where it is not installed (`make peers` does that)."""
    looprig = [
        *(sys.executable, "-m", "looprig", "serve", "model", "--port", "PORT", "--scenario", "plain_turns"),
        *("--scenarios", str(ROOT / "tests/perf/plain_turns.py"), "--no-judge"),
    ]
    judging = [word for word in looprig if word != "--no-judge"]
    bare = [
        *(sys.executable, "-m", "uvicorn", "tests.perf.bare:app", "--port", "PORT", "--loop", "uvloop"),
        *("--http", "httptools", "--no-access-log", "--log-level", "error", "--lifespan", "off"),
    ]
    found = [Server("bare application", bare), Server("looprig", looprig), Server("looprig, judging", judging)]
    aimock = ROOT / ".looprig/peers/node_modules/.bin/llmock"
    if aimock.exists():
        fixture = folder / "aimock.json"
        reply = {"match": {"userMessage": "Tell me"}, "response": {"content": TEXT}}
        fixture.write_text(json.dumps({"fixtures": [reply]}))
        # As many characters a chunk as one of our words has, so that its streams have as many chunks.
        size = str(len(TEXT) // CHUNKS)
        found.append(
            Server("aimock", [str(aimock), "-p", "PORT", "-f", str(fixture), "-c", size, "--log-level", "silent"])
        )
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Bodies; %d is the number of a session


def plain() -> str:
    """Return one user message of 66 words."""
    return _body([{"role": "user", "content": f"[#s%dt0] {PROMPT}"}])


def conversation() -> str:
    """Return a conversation of 41 messages with tool calls, some 10 kB."""
    messages: list[Mapping[str, object]] = [{"role": "system", "content": "You are a travel agent."}]
    for turn in range(10):
        ref = f"s%dt{turn}r0c0"
        call = {"name": "search", "arguments": json.dumps({"query": "flights " * 8, "ref": ref})}
        messages += [
            {"role": "user", "content": f"[#s%dt{turn}] {PROMPT[:120]}"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": f"call_{ref}", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": f"call_{ref}", "content": f"[#{ref}] " + "a flight at noon; " * 10},
            {"role": "assistant", "content": f"[#s%dt{turn}] {PROMPT[:150]}"},
        ]
    return _body([*messages[:-1], {"role": "user", "content": f"[#s%dt10] {PROMPT}"}])


def streamed() -> str:
    """Return the plain request, to be answered as a stream."""
    return _body([{"role": "user", "content": f"[#s%dt0] {PROMPT}"}], stream=True)


def _body(messages: Sequence[Mapping[str, object]], **more: object) -> str:
    return json.dumps({"model": "gpt-4o", "messages": messages, **more})


BODIES = {"plain": plain(), "41 messages": conversation(), "stream": streamed()}

SCRIPT = """
local body = [==[BODY]==]
local session = math.random(0, 1000000) * 100
request = function()
  session = session + 1
  return wrk.format("POST", nil, nil, (body:gsub("s%%d", "s" .. session)))
end
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer sk-looprig"
"""


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


class Point(NamedTuple):
    """What one run of wrk showed: requests answered with 200, and the CPU seconds that the server took for them."""

    requests: int
    cpu_s: float
    failed: int

    @property
    def rate(self) -> float:
        """Requests per CPU second."""
        return self.requests / self.cpu_s


@contextlib.contextmanager
def running(server: Server) -> Iterator[tuple[int, psutil.Process]]:
    """Start *server* on a free port; it has ended when the block ends."""
    port = free_port()
    command = [word.replace("PORT", str(port)) for word in server.command]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        yield port, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it listened")
        time.sleep(0.1)
    raise RuntimeError("the server did not listen within 30 s")


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and its children."""
    family = [process, *process.children(recursive=True)]
    return float(sum(each.cpu_times().user + each.cpu_times().system for each in family))


def point(server: Server, port: int, process: psutil.Process, script: Path, seconds: float) -> Point:
    """Let wrk send for so long."""
    before = cpu_s(process)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "-s", str(script)]
    told = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{server.path}"], capture_output=True, text=True, check=True
    ).stdout
    spent = cpu_s(process) - before
    requests = int(re.search(r"(\d+) requests in", told)[1])  # type: ignore[index]
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    return Point(requests, spent, int(failed[1]) if failed else 0)


def rates(rounds: int = ROUNDS, seconds: float = SECONDS) -> dict[str, dict[str, float]]:
    """Return requests per CPU second: by server and kind of request."""
    found: dict[str, dict[str, list[float]]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        scripts = {kind: folder / f"{number}.lua" for number, kind in enumerate(BODIES)}
        for kind, body in BODIES.items():
            scripts[kind].write_text(SCRIPT.replace("BODY", body))
        for turn in range(rounds):
            for server in servers(folder):
                with running(server) as (port, process):
                    for kind, script in scripts.items():
                        point(server, port, process, script, 1)
                        seen = point(server, port, process, script, seconds)
                        if seen.failed:
                            raise RuntimeError(f"{server.name} refused {seen.failed} of {seen.requests} ({kind})")
                        found.setdefault(server.name, {}).setdefault(kind, []).append(seen.rate)
            print(f"round {turn + 1} of {rounds}", file=sys.stderr)
    return {name: {kind: median(values) for kind, values in kinds.items()} for name, kinds in found.items()}


def measure() -> Section:
    """Measure, and judge."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk (or brew install wrk)")
    seen = rates()
    ours, bare = seen["looprig"], seen["bare application"]
    targets = [
        _target("plain requests, by a bare application's", ours["plain"] / bare["plain"], 0.8),
        _target("streams of 64 chunks, by those of one send a chunk", ours["stream"] / bare["stream"], 4),
    ]
    if "aimock" in seen:
        mock = seen["aimock"]
        targets += [
            _target("plain requests, by aimock's", ours["plain"] / mock["plain"], 2),
            _target("streams of 64 chunks, by aimock's", ours["stream"] / mock["stream"], 3),
        ]
    rows = [
        [name, *(f"{rate:,.0f} ({rate / bare[kind]:.2f})" for kind, rate in kinds.items())]
        for name, kinds in seen.items()
    ]
    tables = ["Requests per CPU second of the server (and by the bare application's):", table(["", *BODIES], rows)]
    return Section("Requests per CPU second", "python -m tests.perf.serving", targets, tables)


def _target(what: str, ratio: float, limit: float) -> Target:
    return Target(what, f"{ratio:.2f} x", f"at least {limit:g} x", ratio >= limit)


if __name__ == "__main__":
    print(section(measure()))
