"""What a disk holds after a power cut: what was synced, and of all else any part.

A process that is killed leaves its writes with the operating system, so killing cannot tell a store that syncs from
one that does not. Here every file operation of a run is written down (crash_shim.c), and played again up to a cut.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

HEAD = struct.Struct("=qqii")

SECTOR = 512
"""What a disk writes whole or not at all."""


class Operation(NamedTuple):
    """A write, truncation, sync or removal of a file; ``size`` is that of the data, or the length to truncate to."""

    kind: str
    file: str
    offset: int
    size: int
    data: bytes


def operations(log: Path) -> list[Operation]:
    """Read what the shim wrote down."""
    return list(_read(log.read_bytes()))


def _read(text: bytes) -> Iterator[Operation]:
    place = 0
    while place < len(text):
        offset, size, kind, length = HEAD.unpack_from(text, place)
        place += HEAD.size
        name = text[place : place + length].decode()
        place += length
        data = text[place : place + size] if chr(kind) == "w" else b""
        place += len(data)
        yield Operation(chr(kind), name, offset, size, data)


@dataclass(slots=True)
class Disk:
    """Files with what is surely on the disk, what was done to each since its last sync, and which were removed.

    A removal is sure once the folder is synced; no file of these runs is made again after it was removed.
    """

    files: dict[str, bytearray] = field(default_factory=dict)
    pending: dict[str, list[Operation]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def do(self, operation: Operation) -> None:
        """Take an operation."""
        match operation:
            case Operation("u", file):
                self.removed.add(file)
            case Operation("s", "."):
                for file in self.removed:
                    self.files.pop(file, None)
                    self.pending.pop(file, None)
                self.removed.clear()
            case Operation("s", file):
                for each in self.pending.pop(file, ()):
                    _apply(self.files, each, None)
            case Operation(_, file):
                self.pending.setdefault(file, []).append(operation)

    def after_a_cut(self, rng: random.Random) -> dict[str, bytearray]:
        """Return what may be found: of what was not synced, each sector of each write has come through or not."""
        found = {name: bytearray(data) for name, data in self.files.items()}
        for name in sorted(self.pending):
            for operation in self.pending[name]:
                _apply(found, operation, rng)
        gone = {name for name in sorted(self.removed) if rng.random() < 0.5}
        return {name: data for name, data in found.items() if name not in gone}


def _apply(files: dict[str, bytearray], operation: Operation, rng: random.Random | None) -> None:
    content = files.setdefault(operation.file, bytearray())
    if operation.kind == "t":
        if rng is None or rng.random() < 0.5:
            del content[operation.size :]
        return
    for start in range(0, operation.size, SECTOR):
        if rng is None or rng.random() < 0.5:
            piece = operation.data[start : start + SECTOR]
            place = operation.offset + start
            content.extend(bytes(max(0, place + len(piece) - len(content))))
            content[place : place + len(piece)] = piece


def cuts(done: Sequence[Operation]) -> Iterator[tuple[Disk, set[str]]]:
    """Yield, before each operation and at the end, the disk and what was acknowledged until then.

    What a process writes to the file ``acknowledged`` is taken as said at once: that is what it promises.
    """
    disk, said = Disk(), bytearray()
    for operation in done:
        yield disk, set(said.decode().split())
        if operation.file == "acknowledged":
            said += operation.data
        else:
            disk.do(operation)
    yield disk, set(said.decode().split())
