"""Counts calls, and memory taken in bulk, while something runs.

Both are the same in every repeat, whatever the machine is busy with. Calls do not show what C code does inside of
one: ``list(history)`` is one call (or none, written ``history[:]``) for ten messages and for a million. The memory
that is taken for the copy does.
"""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

FREE_BYTES = 1024
"""What a stretch may take without being counted.

Below it are the frames that watching itself makes, and names of attributes that a cache of the interpreter keeps
for a while, by their addresses, which no two processes have in common. A copy of fewer than about 120 messages is
below it, too; instructions see that one.
"""


@dataclass(slots=True)
class Work:
    """What was counted.

    ``calls`` are those of Python functions and of functions in C. ``bulk_bytes`` adds up, over the stretches between
    two calls or returns, by how much more than `FREE_BYTES` memory rose above its level at the stretch's beginning,
    also where it is given back at once. It is a lower bound: of what lives one after the other in one stretch, only
    the highest level counts.
    """

    calls: int = 0
    bulk_bytes: int = 0


@contextmanager
def counting() -> Iterator[Work]:
    """Count in this thread, and in threads that begin meanwhile, for as long as the block lasts.

    The cyclic garbage collector is off meanwhile: when it comes is not the loop's doing.
    """
    work = Work()
    see = _watch(work)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    see(None, "", None)
    work.bulk_bytes = 0
    threading.setprofile(see)
    sys.setprofile(see)
    try:
        yield work
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        tracemalloc.stop()
        if collecting:
            gc.enable()


def _watch(work: Work) -> Callable[[FrameType | None, str, Any], None]:
    level = 0
    traced, reset = tracemalloc.get_traced_memory, tracemalloc.reset_peak
    # The cache lets go of a name when another one takes its place: it is emptied outside of the stretches.
    forget: Callable[[], None] = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache

    def see(_frame: FrameType | None, event: str, _argument: Any) -> None:
        nonlocal level
        work.bulk_bytes += max(0, traced()[1] - level - FREE_BYTES)
        if event in ("call", "c_call"):
            work.calls += 1
        forget()
        reset()
        level = traced()[0]

    return see
