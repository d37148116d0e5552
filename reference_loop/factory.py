"""Loops from options, for whoever configures by name, and a loop for code that is not async."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from looprig.messages import Message
from reference_loop.approval import DEFAULT_APPROVAL, Decision
from reference_loop.config import Config
from reference_loop.errors import ConfigError, did_you_mean
from reference_loop.inputs import MockRetriever
from reference_loop.loop import Model, ReferenceLoop
from reference_loop.tools import Tools

RETRIEVERS = {"none": lambda: None, "mock": MockRetriever}
APPROVALS: dict[str, Mapping[str, Decision]] = {
    "default": DEFAULT_APPROVAL,
    "allow": dict.fromkeys(DEFAULT_APPROVAL, "allow"),
    "deny": dict.fromkeys(DEFAULT_APPROVAL, "deny"),
}
OPTIONS = ("sync", "system", "retriever", "approval", *msgspec.structs.asdict(Config()))


class SyncReferenceLoop:
    """A `ReferenceLoop` with an event loop of its own, not for use inside a running one; the rest is the loop's."""

    def __init__(self, loop: ReferenceLoop) -> None:
        self._loop = loop
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def send(self, text: str) -> Message:
        return self._runner.run(self._loop.send(text))

    def close(self) -> None:
        """End the conversation and its event loop."""
        self._loop.close()
        self._runner.close()


def make_loop(
    model: Model,
    tools: Tools,
    *,
    sync: bool = False,
    system: str = "",
    retriever: str = "none",
    approval: str | Mapping[str, Decision] = "default",
    **options: Any,
) -> ReferenceLoop | SyncReferenceLoop:
    """Return a fresh loop; where the tools have an ``approve``, it is asked.

    ``system`` is a system prompt; ``retriever`` and ``approval`` are names of `RETRIEVERS` and `APPROVALS`, and
    ``approval`` may also be a mapping as in `Config`; the other options are the fields of `Config`.
    Raises ConfigError for an option or a value that is not known, with what was perhaps meant.
    """
    for name in options:
        if name not in OPTIONS:
            raise ConfigError(f"unknown option {name!r}{did_you_mean(name, OPTIONS)}")
    decisions = _named("approval", approval, APPROVALS) if isinstance(approval, str) else approval
    config = Config(approval=decisions, **options)
    found = _named("retriever", retriever, RETRIEVERS)()
    loop = ReferenceLoop(model, tools, config, approve=getattr(tools, "approve", None), retriever=found)
    if system:
        loop.add_system(system)
    return SyncReferenceLoop(loop) if sync else loop


def _named(option: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise ConfigError(f"unknown {option} {name!r}{did_you_mean(name, known)}")
    return known[name]
