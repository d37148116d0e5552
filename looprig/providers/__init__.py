"""The providers' wire formats and request rules."""

from __future__ import annotations

from collections.abc import Mapping

from looprig.providers.anthropic import Anthropic
from looprig.providers.base import Provider
from looprig.providers.gemini import Gemini
from looprig.providers.openai_chat import OpenAIChat
from looprig.providers.openai_responses import OpenAIResponses

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider for provider in (OpenAIChat(), OpenAIResponses(), Anthropic(), Gemini())
}
"""Each provider by its name."""
