"""Loops from options, for whoever configures by name, and a loop for code that is not async."""

import asyncio
from typing import Any

from msgspec.structs import asdict

from looprig.messages import Message
from reference_loop.config import Config
from reference_loop.errors import ConfigError, did_you_mean
from reference_loop.loop import Model, ReferenceLoop
from reference_loop.tools import Tools


class SyncReferenceLoop:
    """A `ReferenceLoop` with an event loop of its own, not for use inside a running one; the rest is the loop's."""

    def __init__(self, loop: ReferenceLoop) -> None:
        self._loop = loop
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def send(self, text: str) -> Message:
        return self._runner.run(self._loop.send(text))

    def resume(self) -> Message | None:
        return self._runner.run(self._loop.resume())

    def close(self) -> None:
        """End the conversation and its event loop."""
        self._loop.close()
        self._runner.close()


def make_loop(model: Model, tools: Tools, *, sync: bool = False, **options: Any) -> ReferenceLoop | SyncReferenceLoop:
    """Return a fresh loop; where the tools have an ``approve``, it is asked.

    The options are the fields of `Config`. Raises ConfigError for an option or a value that is not known.
    """
    known = ("sync", *asdict(Config()))
    for name in options:
        if name not in known:
            raise ConfigError(f"unknown option {name!r}{did_you_mean(name, known)}")
    loop = ReferenceLoop(model, tools, Config(**options), approve=getattr(tools, "approve", None))
    return SyncReferenceLoop(loop) if sync else loop
