"""A service that answers as its options say, and records when: the truth that a load generator is held against.

    python tests/loadtests/known_service.py --ttft-ms 50 --itl-ms 5 --tokens 10

It speaks the wire of `looprig serve loop`, and that of chat completions, over plain asyncio; every fault that a stream
can have is an option. The first line it prints is its address; `GET /truth` tells what it recorded:

- ``turns``: of each turn ``[arrived, first, last]``: when its request was read, its first and its last text written
- ``frozen``: when the service stood still, ``[from, to]``
- counts of sessions and turns

Times are of the monotonic clock, which on one machine is the generator's as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import signal
import time
from collections.abc import AsyncIterator
from random import Random
from typing import Any

FAULTS = (
    "cut",  # the connection ends in the middle of the stream
    "no-end",  # the stream ends properly, without its end marker
    "error",  # an event says that the turn failed
    "status",  # 503
    "garbled",  # bytes that are no UTF-8
    "not-json",
    "silent",  # nothing after the headers, until the client leaves
    "violation",  # the end event tells of a broken invariant
)


class Service:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.random = Random(options.seed)
        self.turns: list[list[float]] = []
        self.frozen: list[float] = []
        self.counts = {"opened": 0, "closed": 0, "started": 0, "ended": 0, "left": 0, "bodies": 0}
        self.began = False
        self.seen: list[Any] = []
        self.steps = asyncio.Semaphore(0)

    def begin(self) -> None:
        """Plan the standstill: the clock of it starts with the first request."""
        if not self.began and self.options.freeze_s:
            asyncio.get_running_loop().call_later(self.options.freeze_at_s, self.freeze)
        self.began = True

    def freeze(self) -> None:
        started = time.monotonic()
        time.sleep(self.options.freeze_s)  # the whole process, as a long garbage collection would
        self.frozen += [started, time.monotonic()]

    def ttft_s(self) -> float:
        median: float = self.options.ttft_ms / 1000
        return median * math.exp(self.options.sigma * self.random.gauss(0, 1)) if self.options.sigma else median

    def fault(self) -> str:
        every = self.options.every
        return self.options.fault if self.options.fault and self.counts["started"] % every == 0 else ""

    async def answer(self, method: str, path: str, body: Any, writer: asyncio.StreamWriter) -> None:
        self.begin()
        if path == "/step":
            self.steps.release()
            plain(writer, 200, {})
        elif path == "/truth":
            plain(writer, 200, {"turns": self.turns, "frozen": self.frozen, "seen": self.seen, **self.counts})
        elif method == "POST" and path == "/v1/sessions":
            self.counts["opened"] += 1
            self.seen.append(body)
            plain(writer, 201, {"id": f"n{self.counts['opened']}"})
        elif method == "DELETE":
            self.counts["closed"] += 1
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif method == "POST" and (path.endswith("/turns") or path in ("/v1/chat/completions", "/chat")):
            self.counts["started"] += 1
            if len(self.seen) < 200:
                self.seen.append(body)
            await self.turn(path, writer)
        else:
            plain(writer, 404, {"error": f"no {path}"})

    async def turn(self, path: str, writer: asyncio.StreamWriter) -> None:
        arrived = time.monotonic()
        fault = self.fault()
        if fault == "status":
            plain(writer, 503, {"error": "full"})
            return
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head)
        times = [arrived]
        words = WORDS["/chat" if path == "/chat" else "openai" if "completions" in path else "session"]
        async for piece in self.pieces(words, fault, times):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        if fault == "cut":
            writer.transport.abort()
            return
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        self.counts["ended"] += 1
        self.turns.append([times[0], times[1], times[-1]] if len(times) > 1 else times)

    async def pieces(self, words: Any, fault: str, times: list[float]) -> AsyncIterator[bytes]:
        """Yield what is written at one time; note in *times* when each text is."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self.ttft_s()
        options = self.options
        for number in range(options.tokens):
            if number and (fault in ("cut", "error", "garbled", "not-json") and number == options.tokens // 2):
                if fault == "cut":
                    return
                yield {"error": words["error"], "garbled": b"data: \xff\xfe\n\n", "not-json": b"data: {oops\n\n"}[fault]
                return
            await asyncio.sleep(max(due - loop.time(), 0))
            if options.stepwise and number:
                await self.steps.acquire()
            if fault == "silent":
                await asyncio.sleep(3600)
            times.append(time.monotonic())
            text = b": ping\n\n" * options.pings + words["text"] % (b"%d " % number + options.text.encode())
            text = text.replace(b"\n", b"\r\n") if options.crlf else text
            if options.split:  # in the middle of an event, and of a character
                half = len(text) // 2
                yield text[:half]
                await asyncio.sleep(0.002)
                yield text[half:]
            else:
                yield text
            due += options.itl_ms / 1000
        if fault != "no-end":
            end = words["end"](options.tokens, ["LR121"] if fault == "violation" else [])
            yield end.replace(b"\n", b"\r\n") if options.crlf else end


def session_end(tokens: int, broken: list[str]) -> bytes:
    told = {
        "answer": "",
        "rounds": 0,
        "history_messages": 4,
        "history_chars": 400,
        "trim_pause_s": 0.001,
        "input_tokens": 7,
        "output_tokens": tokens,
        "violations": broken,
    }
    return b"event: end\ndata: %s\n\n" % json.dumps(told).encode()


def openai_end(tokens: int, broken: list[str]) -> bytes:
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": tokens}}
    stop = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    return b"data: %s\n\ndata: %s\n\ndata: [DONE]\n\n" % (json.dumps(stop).encode(), json.dumps(usage).encode())


WORDS: dict[str, dict[str, Any]] = {
    "session": {
        "text": b'event: text\ndata: {"delta": "%s"}\n\n',
        "error": b'event: error\ndata: {"type": "loop", "message": "it raised"}\n\n',
        "end": session_end,
    },
    "openai": {
        "text": b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n',
        "error": b'data: {"error": {"type": "server_error", "message": "it raised"}}\n\n',
        "end": openai_end,
    },
    "/chat": {
        "text": b"event: token\ndata: %s\n\n",
        "error": b"event: failed\ndata: it raised\n\n",
        "end": lambda tokens, broken: b"event: done\ndata: x\n\n",
    },
}


def plain(writer: asyncio.StreamWriter, status: int, body: Any) -> None:
    data = json.dumps(body).encode()
    writer.write(
        b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(data), data)
    )


async def serve(options: argparse.Namespace) -> None:
    service = Service(options)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ", 2)
                fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                try:
                    await service.answer(method, path, json.loads(body) if body else None, writer)
                    await writer.drain()
                except ConnectionError:
                    service.counts["left"] += 1
                    raise
        writer.close()

    server = await asyncio.start_server(connected, options.host, options.port, backlog=4096)
    print(f"serving http://{options.host}:{server.sockets[0].getsockname()[1]}", flush=True)
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    await stop.wait()
    server.close()


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ttft-ms", type=float, default=20)
    parser.add_argument("--sigma", type=float, default=0)
    parser.add_argument("--itl-ms", type=float, default=2)
    parser.add_argument("--tokens", type=int, default=5)
    parser.add_argument("--text", default="word")
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--freeze-at-s", type=float, default=0)
    parser.add_argument("--freeze-s", type=float, default=0)
    parser.add_argument("--pings", type=int, default=0)
    parser.add_argument("--crlf", action="store_true")
    parser.add_argument("--split", action="store_true")
    parser.add_argument("--stepwise", action="store_true", help="each text after the first waits for a GET /step")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    asyncio.run(serve(options_of()))
