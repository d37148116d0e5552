"""A model that gives the replies it was given."""

from __future__ import annotations

from collections.abc import AsyncIterator

from looprig.loop import Chunk
from looprig.messages import Message


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
        message = await self.acomplete(messages)
        for word in message.content.split():
            yield Chunk(word)
        yield Chunk("", message)
