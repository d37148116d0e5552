"""Loops from options, for whoever configures by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from reference_loop.approval import DEFAULT_APPROVAL, Decision
from reference_loop.config import Config
from reference_loop.context import MockRetriever, Retriever
from reference_loop.errors import ConfigError, did_you_mean
from reference_loop.facade import SyncReferenceLoop
from reference_loop.loop import Model, ReferenceLoop
from reference_loop.tools import Tools

RETRIEVERS: dict[str, Callable[[], Retriever | None]] = {"none": lambda: None, "mock": MockRetriever}

APPROVALS: dict[str, Mapping[str, Decision]] = {
    "default": DEFAULT_APPROVAL,
    "allow": dict.fromkeys(DEFAULT_APPROVAL, "allow"),
    "deny": dict.fromkeys(DEFAULT_APPROVAL, "deny"),
}

OPTIONS = (*(each.name for each in fields(Config)), "sync", "system", "retriever")


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
    """Return a fresh loop.

    ``system`` is a system prompt; empty means none. ``retriever`` and ``approval`` are names
    of `RETRIEVERS` and `APPROVALS`; ``approval`` may also be a mapping as in `Config`. The
    other options are the fields of `Config`. Where the tools have an ``approve``, it is asked.

    Raises:
        ConfigError: for an option or a value that is not known, with what was perhaps meant.
    """
    for name in options:
        if name not in OPTIONS:
            raise ConfigError(f"unknown option {name!r}{did_you_mean(name, OPTIONS)}")
    decisions = _named("approval", approval, APPROVALS) if isinstance(approval, str) else approval
    loop = ReferenceLoop(
        model,
        tools,
        Config(approval=decisions, **options),
        approve=getattr(tools, "approve", None),
        retriever=_named("retriever", retriever, RETRIEVERS)(),
    )
    if system:
        loop.add_system(system)
    return SyncReferenceLoop(loop) if sync else loop


def _named(option: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise ConfigError(f"unknown {option} {name!r}{did_you_mean(str(name), known)}")
    return known[name]
