"""Agno: what a session gives back under a limit of messages or runs, and the filter for tool calls."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

from agno.models.message import Message as Native
from agno.run.agent import RunOutput
from agno.session.agent import AgentSession
from agno.utils.message import filter_tool_calls

from looprig.messages import Message, message_from_dict
from looprig.trimmers.contract import Subject, Trimmer, contract_in
from looprig.trimmers.frameworks._shape import Calls, FrameworkCodec, Kept

PACKAGES = ("agno",)


def to_native(message: Message, _calls: Calls) -> Native:
    """Return a message as Agno's, which are chat-completions dicts with attributes."""
    entry = message.to_dict()
    return Native(**json.loads(json.dumps(entry)))


def to_messages(native: Native) -> Sequence[Message]:
    """Return one of Agno's messages as ours."""
    keys = ("role", "content", "tool_calls", "tool_call_id")
    return (message_from_dict({key: getattr(native, key) for key in keys}),)


CODEC = FrameworkCodec(to_native, to_messages)


def from_session(option: str) -> Callable[[int], Trimmer]:
    """Return a factory of trimmers that put a history into a session, a run for each user message, and ask for it."""

    def make(limit: int) -> Trimmer:
        kept = Kept(lambda history: AgentSession(session_id="one", runs=_runs(history)))
        asked: dict[str, Any] = {option: limit}
        return lambda history: list(kept.of(history).get_messages(**asked))

    return make


def _runs(history: Sequence[Native]) -> list[Any]:
    """Return the history as runs; what stands before the first user message belongs to the first run."""
    starts = [at for at, message in enumerate(history) if message.role == "user"][1:]
    edges = [0, *starts, len(history)]
    return [
        RunOutput(run_id=str(first), messages=list(history[first:end]))
        for first, end in itertools.pairwise(edges)
        if end > first
    ]


def filtered(limit: int) -> Trimmer:
    """Keep the latest *limit* tool results with their calls."""
    return lambda history: filter_tool_calls(history, limit)


def tool_results(messages: Sequence[Message]) -> float:
    """Return the number of tool results, which is what the filter bounds."""
    return sum(1 for message in messages if message.role == "tool")


SUBJECTS = (
    Subject(
        name="AgentSession.get_messages(limit)",
        make=from_session("limit"),
        contract=contract_in("messages", mode="view"),
        codec=CODEC,
        packages=PACKAGES,
    ),
    Subject(
        name="AgentSession.get_messages(last_n_runs)",
        make=from_session("last_n_runs"),
        contract=contract_in("turns", mode="view"),
        codec=CODEC,
        packages=PACKAGES,
    ),
    Subject(
        name="filter_tool_calls",
        make=filtered,
        contract=contract_in(tool_results, mode="inplace"),
        codec=CODEC,
        packages=PACKAGES,
    ),
)
