"""Models without a model: one that follows rules, and one that gives the replies it was given.

Both are deterministic, and both stream word by word.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import NamedTuple

from looprig.messages import Message, ToolCall


class Chunk(NamedTuple):
    """One piece of a streamed reply; the last one has the whole message."""

    text: str
    message: Message | None = None


class Rule(NamedTuple):
    """What to do when the user's text matches *pattern*: its groups, by name, are the arguments of *tool*."""

    pattern: str
    tool: str


RULES = (
    Rule(r"calculate (?P<expression>.+)", "calculator"),
    Rule(r"what time", "clock"),
    Rule(r"search (?P<query>.+)", "search"),
    Rule(r"note (?P<title>\w+): (?P<text>.+)", "write_note"),
    Rule(r"delete (?P<title>\w+)", "delete_note"),
    Rule(r"notes", "read_notes"),
)


async def words(message: Message) -> AsyncIterator[Chunk]:
    """Stream *message* word by word."""
    for word in re.findall(r"\S+\s*", message.content):
        yield Chunk(word)
    yield Chunk("", message)


class MockModel:
    """Asks for the tool of the first rule that the user's text matches, and repeats what it hears."""

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self._rules = rules
        self._ids = count(1)

    def complete(self, messages: Sequence[Message]) -> Message:
        newest = messages[-1]
        if newest.role == "tool":
            return Message(role="assistant", content=f"The tool says: {newest.content}")
        for rule in self._rules:
            if found := re.search(rule.pattern, newest.content, re.IGNORECASE):
                return self._call(rule.tool, found.groupdict())
        return Message(role="assistant", content=f"You said: {newest.content}")

    async def acomplete(self, messages: Sequence[Message]) -> Message:
        return self.complete(messages)

    def astream(self, messages: Sequence[Message]) -> AsyncIterator[Chunk]:
        return words(self.complete(messages))

    def _call(self, tool: str, arguments: dict[str, str]) -> Message:
        call = ToolCall(id=f"call_{next(self._ids)}", name=tool, arguments=json.dumps(arguments))
        return Message(role="assistant", tool_calls=(call,))


class Replies:
    """Gives *replies* in order, raises those that are exceptions, and complains when asked for more."""

    def __init__(self, *replies: Message | BaseException) -> None:
        self._replies = iter(replies)
        self.requests: list[list[Message]] = []
        """What it was asked."""

    async def acomplete(self, messages: list[Message]) -> Message:
        self.requests.append(messages)
        reply = next(self._replies, None)
        assert reply is not None, f"there is no reply for request {len(self.requests)}"
        if isinstance(reply, BaseException):
            raise reply
        return reply

    async def astream(self, messages: list[Message]) -> AsyncIterator[Chunk]:
        async for chunk in words(await self.acomplete(messages)):
            yield chunk
