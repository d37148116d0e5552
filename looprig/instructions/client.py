"""Talks to the valgrind that a process runs under, from pure Python: callgrind counts from here to there.

A client request is a run of instructions that do nothing, which valgrind knows when it meets them; they stand in
valgrind.h, and are written here into a page of memory that ctypes can call. The other way, counting whole processes
with N and 2 N plays and taking the difference, needs no such page, but twice the processes, each with the start of
an interpreter under full count; and the difference would be off by whatever the start does differently.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import sys
from collections.abc import Callable

_PREAMBLES = {
    # mov rax, rdi; mov rdx, rsi; rol rdi by 3, 13, 61 and 51; xchg rbx, rbx; mov rax, rdx; ret
    "x86_64": bytes.fromhex("4889f8 4889f2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3"),
    # mov x4, x0; mov x3, x1; ror x12 by 3, 13, 51 and 61; orr x10, x10, x10; mov x0, x3; ret
    "aarch64": b"".join(
        word.to_bytes(4, "little")
        for word in (
            0xAA0003E4,
            0xAA0103E3,
            0x93CC0D8C,
            0x93CC358C,
            0x93CCCD8C,
            0x93CCF58C,
            0xAA0A014A,
            0xAA0303E0,
            0xD65F03C0,
        )
    ),
}
"""A function (address of six words, answer without valgrind) -> answer, by machine."""

_RUNNING_ON_VALGRIND = 0x1001
_CALLGRIND = ord("C") << 24 | ord("T") << 16
_DUMP, _ZERO, _START = _CALLGRIND, _CALLGRIND + 1, _CALLGRIND + 4

Request = Callable[[int], int]


def machine_known() -> bool:
    """Whether a request can be made on a machine of this kind."""
    return sys.platform == "linux" and platform.machine() in _PREAMBLES


def connect() -> Request:
    """Return a function that makes a request; outside of valgrind each one does nothing and returns 0."""
    code = _PREAMBLES[platform.machine()]
    # A file that is mapped as code, and not a page that is written to: some systems forbid the latter, and the
    # kernel sees to it that the processor does not run what stood there before.
    file = os.memfd_create("looprig-client-request")
    os.write(file, code)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    address = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE, file, 0)
    os.close(file)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "no memory for code can be had here")
    call = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.POINTER(ctypes.c_ulong * 6), ctypes.c_ulong)(address)

    def request(number: int) -> int:
        return int(call(ctypes.byref((ctypes.c_ulong * 6)(number)), 0))

    return request


def running(request: Request) -> bool:
    """Whether this process runs under valgrind."""
    return request(_RUNNING_ON_VALGRIND) > 0


def begin(request: Request) -> None:
    """Translate for counting from here on, which is slow; what runs before is not counted."""
    request(_START)


def zero(request: Request) -> None:
    """Count from zero."""
    request(_ZERO)


def dump(request: Request) -> None:
    """Write what was counted so far into the next file, and go on from zero."""
    request(_DUMP)
