"""LangGraph: a trim is a state update with ``RemoveMessage``, which the reducer ``add_messages`` carries out."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import BaseMessage, RemoveMessage
from langgraph.graph.message import REMOVE_ALL_MESSAGES, add_messages

from looprig.messages import Message
from looprig.trimmers.contract import Subject, Trimmer, contract_in
from looprig.trimmers.frameworks._shape import Calls, FrameworkCodec
from looprig.trimmers.frameworks.langchain import to_messages, to_native

PACKAGES = ("langgraph",)


def with_id(message: Message, calls: Calls) -> Any:
    """Return a message as the reducer keeps it: with an id of its own."""
    return add_messages([], [to_native(message, calls)])[0]


CODEC = FrameworkCodec(with_id, to_messages)


def last(limit: int) -> Trimmer:
    """Remove all but the last *limit* messages, one by one."""

    def trim(history: list[BaseMessage]) -> Any:
        return add_messages(history, [RemoveMessage(id=message.id) for message in history[:-limit]])

    return trim


def replaced(limit: int) -> Trimmer:
    """Remove everything, and put the first message and the tail back, as LangChain's guide does."""

    def trim(history: list[BaseMessage]) -> Any:
        if len(history) <= limit:
            return None
        tail = history[1 - limit :] if limit > 1 else []
        return add_messages(history, [RemoveMessage(id=REMOVE_ALL_MESSAGES), history[0], *tail])

    return trim


SUBJECTS = tuple(
    Subject(name=name, make=make, contract=contract_in("messages"), codec=CODEC, packages=PACKAGES)
    for name, make in (("RemoveMessage(all but last n)", last), ("RemoveMessage(REMOVE_ALL) + tail", replaced))
)
