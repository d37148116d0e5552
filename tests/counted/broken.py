"""Loops that cannot be counted, or not twice the same, found by path."""

from __future__ import annotations

import os
import random
import sys
import time
from typing import Any


class _Loop:
    def __init__(self, model: Any) -> None:
        self._model = model
        self.history: list[dict[str, str]] = []

    def send(self, text: str) -> str:
        self.history = [{"role": "user", "content": text}]
        return str(self._model.complete(self.history)["content"])


class _Unsteady(_Loop):
    def send(self, text: str) -> str:
        for _ in range(random.SystemRandom().randrange(1000)):
            text.upper()
        return super().send(text)


class _Hashes(_Loop):
    """Goes through a set, and does more for a text that comes early: how much depends on the hash seed."""

    def send(self, text: str) -> str:
        for number, word in enumerate({f"word{number}" for number in range(50)}):
            if word == "word7":
                for _ in range(number):
                    word.upper()
        return super().send(text)


class _Chatty(_Loop):
    def send(self, text: str) -> str:
        print("and now:", text)
        sys.stdout.flush()
        return super().send(text)


def unsteady(model: Any, tools: Any) -> _Loop:
    return _Unsteady(model)


def hashes(model: Any, tools: Any) -> _Loop:
    return _Hashes(model)


def chatty(model: Any, tools: Any) -> _Loop:
    return _Chatty(model)


def raises(model: Any, tools: Any) -> _Loop:
    raise OSError("no disk today")


def dies(model: Any, tools: Any) -> _Loop:
    print("about to die", file=sys.stderr, flush=True)
    os._exit(7)


def hangs(model: Any, tools: Any) -> _Loop:
    time.sleep(600)
    return _Loop(model)
