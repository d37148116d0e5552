"""What goes into a turn: the user's text, which may be refused, and texts that are looked up for it."""

import inspect
import re
from collections.abc import Awaitable, Callable

from looprig.messages import Message
from reference_loop.errors import InputError

Retriever = Callable[[str], list[str] | Awaitable[list[str]]]
"""Finds texts that may help to answer."""

CONTEXT_NAME = "context"
"""The name of the message that carries what was looked up; requests have it, the history never does."""

# Unicode's category Cc without tab, newline and carriage return; and the surrogates.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def validate(text: str, max_chars: int) -> None:
    """Pass, or raise InputError with what is wrong."""
    if not text or text.isspace():
        raise InputError("the text is empty; say something")
    if len(text) > max_chars:
        raise InputError(f"the text has {len(text)} characters; at most {max_chars} are accepted")
    if (found := _REFUSED.search(text)) is not None:
        kind = "lone surrogate" if found[0] >= "\ud800" else "control character"
        raise InputError(f"the text holds a {kind}, U+{ord(found[0]):04X} at position {found.start()}; take it out")


def mock_retriever(text: str) -> list[str]:
    """Find the same two texts for the same question."""
    return [f"The user's text has {len(text)} characters.", f"Its first word is {text.split()[0]!r}."]


async def context_for(text: str, retriever: Retriever) -> Message | None:
    """Return what is found for *text* as one message, or None for nothing."""
    found = retriever(text)
    texts = await found if inspect.isawaitable(found) else found
    return Message(role="system", content="\n\n".join(texts), name=CONTEXT_NAME) if texts else None
