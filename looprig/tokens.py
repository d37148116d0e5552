"""Token counts: a fast estimate by default, a real tokenizer as an option.

A counter is any function from text to a number of tokens. Reports name the counter, because
an estimate and a tokenizer must never be compared with each other.
"""

from __future__ import annotations

from collections.abc import Callable

from looprig.messages import Message

Counter = Callable[[str], int]

OVERHEAD_PER_MESSAGE = 4
"""Tokens that a message costs beside its text, for role and separators; OpenAI's cookbook counts 3 to 4."""


class TokenizerMissing(Exception):
    """The tokenizer that was asked for is not installed or not known; the text says what to do."""


def estimate(text: str) -> int:
    """Return a quarter of the text's UTF-8 bytes, rounded up.

    Bytes and not characters, because text that is not English costs more tokens per character.
    The error against a real tokenizer is still some -50 % to +25 %, by the kind of text.
    """
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return (size + 3) // 4


def counter(name: str) -> Counter:
    """Return the counter called *name*: ``estimate``, or ``o200k`` and ``cl100k`` from the bpe-openai package.

    Raises:
        TokenizerMissing: with the command that installs what is missing.
    """
    if name == "estimate":
        return estimate
    if name not in ("o200k", "cl100k"):
        raise TokenizerMissing(f"unknown token counter {name!r}: use estimate, o200k or cl100k")
    try:
        import bpe_openai
    except ImportError:
        raise TokenizerMissing(f"the token counter {name} needs bpe-openai: pip install 'looprig[tokens]'") from None
    encoding = bpe_openai.get_encoding(f"{name}_base")

    def count(text: str) -> int:
        # What looks like a special token ("<|endoftext|>") is text here, as it is in a provider's API.
        return len(encoding.encode(text.encode("utf-8", "replace").decode("utf-8"), disallowed_special=()))

    return count


def message_tokens(message: Message, count: Counter) -> int:
    """Return what *message* costs in a request: its text, its calls with their arguments, and a fixed overhead."""
    total = OVERHEAD_PER_MESSAGE + count(message.content)
    for call in message.tool_calls:
        total += count(call.name) + count(call.arguments)
    return total
