"""What a request costs in tokens, and how much of it a prompt cache would have had."""

from __future__ import annotations

from collections.abc import Mapping

from looprig.messages import Message
from looprig.tokens import Counter, message_tokens

CACHED_FROM: Mapping[str, int] = {"openai-chat": 1024, "openai-responses": 1024, "anthropic": 1024, "gemini": 1024}
"""Tokens from which on a provider caches a prefix. Anthropic does so where the request asks for it, and some of its
models and Gemini's begin later: that is not modelled, nor is it that a cache forgets after some minutes."""


class Prompt:
    """The messages of a session's last request with their token counts: a message is counted once."""

    __slots__ = ("_counts", "_messages", "_total")

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._counts: list[int] = []
        self._total = 0

    @property
    def held(self) -> int:
        """How many messages are remembered."""
        return len(self._messages)

    def count(self, messages: list[Message], counter: Counter, cached_from: int) -> tuple[int, int]:
        """Return the tokens of a request, and those of its longest prefix of whole messages that was sent before."""
        old = self._messages
        same = len(old)
        if len(messages) >= same and messages[:same] == old:
            cached = self._total
        else:
            same = next((at for at, (a, b) in enumerate(zip(old, messages, strict=False)) if a != b), len(messages))
            cached = sum(self._counts[:same])
            del self._counts[same:]
        new = [message_tokens(message, counter) for message in messages[same:]]
        self._counts += new
        self._total = cached + sum(new)
        self._messages = messages
        return self._total, cached if cached >= cached_from else 0
