"""What adapters share: tool calls as frameworks spell them, and system messages that an application adds."""

from __future__ import annotations

import json
from typing import Any


def arguments_of(text: str) -> dict[str, Any] | None:
    """Return the arguments that the model wrote, or None where they are no JSON object."""
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


def call_dict(call_id: str, name: str, arguments: str | dict[str, Any]) -> dict[str, Any]:
    """Return an entry of ``tool_calls`` in a chat-completions message."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


class SystemTexts:
    """System messages on their way into a framework.

    The first text that comes before anybody speaks is the agent's instructions, a setting of every framework; what
    the application adds later joins the conversation.
    """

    def __init__(self) -> None:
        self.instructions: str | None = None
        self._later: list[str] = []
        self._spoken = False

    def add(self, text: str) -> None:
        if self.instructions is None and not self._spoken:
            self.instructions = text
        else:
            self._later.append(text)

    def take(self) -> list[str]:
        """Return the texts that have to join the conversation now, before the user's message."""
        self._spoken = True
        taken, self._later = self._later, []
        return taken
