"""Loops for the tests of `looprig.paired`: some work, some do not."""

from __future__ import annotations

import os
import time
from typing import Any


class _Loop:
    """Asks the model once a turn, and works for that in units."""

    def __init__(self, model: Any, units: int) -> None:
        self._model, self._units = model, units

    def send(self, text: str) -> Any:
        sum(range(2_000 * self._units))
        return self._model.complete([{"role": "user", "content": text}])


def make(model: Any, tools: Any, units: int = 1) -> _Loop:
    """Return a loop whose cost grows with *units*."""
    return _Loop(model, units)


def talking(model: Any, tools: Any) -> _Loop:
    """Return a loop that prints."""
    print("this is no answer of the worker")
    return _Loop(model, 1)


def telling(model: Any, tools: Any) -> _Loop:
    """Tell where and with which hash seed it is made."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    raise RuntimeError(f"cores {cores} seed {os.environ['PYTHONHASHSEED']}")


class _Ill(_Loop):
    def __init__(self, model: Any, how: str) -> None:
        super().__init__(model, 1)
        self._how = how

    def send(self, text: str) -> Any:
        if self._how == "dies":
            os.write(2, b"nobody catches this\n")
            os._exit(7)
        while True:
            time.sleep(0.01)


def ill(model: Any, tools: Any, how: str = "dies") -> _Loop:
    """Return a loop that ends its process, or never answers."""
    return _Ill(model, how)
