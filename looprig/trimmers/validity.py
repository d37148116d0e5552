"""Whether a provider would take a list of messages; the rules are `looprig.providers`'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from looprig.messages import Message
from looprig.providers import PROVIDERS
from looprig.providers.base import Seen

NAMES: Mapping[str, str] = {"openai-chat": "OpenAI", "anthropic": "Anthropic", "gemini": "Gemini"}
"""The providers that are asked, with the names that readers know them by."""


def refuses(provider: str, messages: Sequence[Message]) -> str | None:
    """Say why *provider* would refuse *messages*; None where it would not."""
    return _refuses(provider, tuple(messages))


@lru_cache(maxsize=64)  # of one history and several limits; a rule asks about both sides of a trim
def _refuses(provider: str, messages: tuple[Message, ...]) -> str | None:
    problem = PROVIDERS[provider].judge(messages, 0, Seen())
    return None if problem is None else f"{NAMES[provider]} answers {problem.status}: {problem.message}"
