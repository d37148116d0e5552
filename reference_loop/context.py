"""Context for a turn: texts that are looked up for what the user says, and shown to the model with it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from looprig.messages import Message

CONTEXT_NAME = "context"
"""The name of the message that carries the context; requests have it, the history never does."""


class Retriever(Protocol):
    """Finds texts that may help to answer."""

    def retrieve(self, text: str) -> list[str] | Awaitable[list[str]]: ...


class MockRetriever:
    """Finds the same two texts for the same question."""

    def retrieve(self, text: str) -> list[str]:
        return [f"The user's text has {len(text)} characters.", f"Its first word is {text.split()[0]!r}."]


def context_message(found: list[str]) -> Message | None:
    """Return what was found as one message, or None for nothing."""
    return Message(role="system", content="\n\n".join(found), name=CONTEXT_NAME) if found else None
