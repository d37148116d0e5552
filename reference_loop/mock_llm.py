"""A model without a model: it follows rules, gives the same reply to the same text, and streams word by word."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any

from looprig.messages import Message, ToolCall

RULES = {
    r"(?P<left>\d+) ?\* ?(?P<right>\d+)": "multiply",
    r"what time": "clock",
    r"note (?P<title>\w+): (?P<text>.+)": "write_note",
    r"delete (?P<title>\w+)": "delete_note",
    r"notes": "read_notes",
}
"""Patterns of a user's text, and the tool to ask for; a pattern's groups are the arguments, by name."""


class MockModel:
    """Asks for the tool of the first rule that the user's text matches, and repeats what it hears."""

    def __init__(self) -> None:
        self._ids = count(1)

    async def acomplete(self, messages: Sequence[Message]) -> Message:
        newest = messages[-1]
        if newest.role == "tool":
            return Message(role="assistant", content=f"The tool says: {newest.content}")
        for pattern, tool in RULES.items():
            if found := re.search(pattern, newest.content, re.IGNORECASE):
                call = ToolCall(id=f"call_{next(self._ids)}", name=tool, arguments=json.dumps(found.groupdict()))
                return Message(role="assistant", tool_calls=(call,))
        return Message(role="assistant", content=f"You said: {newest.content}")

    async def astream(self, messages: Sequence[Message]) -> AsyncIterator[Any]:
        message = await self.acomplete(messages)
        for word in re.findall(r"\S+\s*", message.content):
            yield SimpleNamespace(text=word, message=None)
        yield SimpleNamespace(text="", message=message)
