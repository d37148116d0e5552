"""A client for one request at a time on one connection: as little work as possible beside the server's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class Connection:
    """A connection to a server on this machine, kept alive."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Send *body*; return the status and the whole body of the response."""
        status, length = await self._ask(path, body)
        assert self._reader is not None
        if length is None:
            return status, b"".join([piece async for piece in self._pieces()])
        return status, await self._reader.readexactly(length)

    async def stream(self, path: str, body: bytes) -> AsyncIterator[bytes]:
        """Send *body*; yield the response's pieces as they come."""
        status, length = await self._ask(path, body)
        if status != 200 or length is not None:
            raise RuntimeError(f"no stream: status {status}")
        async for piece in self._pieces():
            yield piece

    async def _ask(self, path: str, body: bytes) -> tuple[int, int | None]:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        assert self._reader is not None
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer sk-looprig\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), None)
        return int(lines[0].split()[1]), length

    async def _pieces(self) -> AsyncIterator[bytes]:
        assert self._reader is not None
        while True:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            piece = (await self._reader.readexactly(size + 2))[:-2]
            if not size:
                return
            yield piece

    async def close(self) -> None:
        """Close it."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
