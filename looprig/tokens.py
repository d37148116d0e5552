"""Token counts: a fast estimate by default, a real tokenizer as an option.

A counter is any function from text to a number of tokens. Reports name the counter, because
an estimate and a tokenizer must never be compared with each other.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    """Return the counter called *name*: ``estimate``, ``o200k`` or ``cl100k``.

    The last two are OpenAI's tokenizers, exact, from the package bpe-openai; or from tiktoken, where its data lies in
    the folder that ``TIKTOKEN_CACHE_DIR`` names: it would fetch them, and looprig needs no network.

    Raises:
        TokenizerMissing: with the command that installs what is missing.
    """
    if name == "estimate":
        return estimate
    if name not in TIKTOKEN_FILES:
        raise TokenizerMissing(f"unknown token counter {name!r}: use estimate, {' or '.join(TIKTOKEN_FILES)}")
    encoding = _bpe_openai(name) or _tiktoken(name)
    if encoding is None:
        raise TokenizerMissing(
            f"the token counter {name} needs bpe-openai: pip install 'looprig[tokens]' "
            "(or tiktoken, with its data in TIKTOKEN_CACHE_DIR)"
        )

    def count(text: str) -> int:
        # What looks like a special token ("<|endoftext|>") is text here, as it is in a provider's API.
        return len(encoding.encode(text.encode("utf-8", "replace").decode("utf-8"), disallowed_special=()))

    return count


def best() -> str:
    """Return the name of the best counter that works here: ``o200k``, or ``estimate`` where there is no tokenizer."""
    try:
        counter("o200k")
    except TokenizerMissing:
        return "estimate"
    return "o200k"


TIKTOKEN_FILES = {
    "o200k": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
}
"""The file that tiktoken keeps each tokenizer's data in: the SHA-1 of where it fetches it (tiktoken/load.py)."""


def _bpe_openai(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how it reads its data is no fault of our user's
        try:
            import bpe_openai
        except ImportError:
            return None
    return bpe_openai.get_encoding(f"{name}_base")


def _tiktoken(name: str) -> Any:
    folder = os.environ.get("TIKTOKEN_CACHE_DIR")
    if not folder or not Path(folder, TIKTOKEN_FILES[name]).is_file():
        return None
    try:
        import tiktoken
    except ImportError:
        return None
    return tiktoken.get_encoding(f"{name}_base")


def message_tokens(message: Message, count: Counter) -> int:
    """Return what *message* costs in a request: its text, its calls with their arguments, and a fixed overhead."""
    total = OVERHEAD_PER_MESSAGE + count(message.content)
    for call in message.tool_calls:
        total += count(call.name) + count(call.arguments)
    return total
