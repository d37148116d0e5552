"""The providers' wire formats and request rules."""

from __future__ import annotations

from collections.abc import Mapping

from looprig.providers.base import Provider
from looprig.providers.openai_chat import OpenAIChat

PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in (OpenAIChat(),)}
"""Each provider by its name."""
