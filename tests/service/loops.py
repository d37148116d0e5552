"""Chat loops for tests of the service, sound and broken; each is a factory."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

from looprig.messages import Message


class Plain:
    """A sound loop that forgets nothing."""

    def __init__(self, model: Any, tools: Any) -> None:
        self.model, self.tools = model, tools
        self.history: list[Message] = []

    async def send(self, text: str) -> str:
        self.history.append(Message("user", text))
        while True:
            reply = await self.ask()
            self.history.append(reply)
            if not reply.tool_calls:
                return str(reply.content)
            for call in reply.tool_calls:
                result = await self.tools[call.name].arun(json.loads(call.arguments))
                self.history.append(Message("tool", str(result), tool_call_id=call.id))

    async def ask(self) -> Message:
        reply: Message = await self.model.acomplete(list(self.history))
        return reply

    def add_system(self, text: str) -> None:
        self.history.append(Message("system", text))


class Streaming(Plain):
    """A sound loop that streams."""

    async def ask(self) -> Message:
        reply = None
        async for chunk in self.model.astream(list(self.history)):
            reply = chunk.message or reply
        assert isinstance(reply, Message)
        return reply


class Shared(Plain):
    """All conversations in one list: a class attribute that should have been an instance's."""

    everything: ClassVar[list[Message]] = []

    def __init__(self, model: Any, tools: Any) -> None:
        super().__init__(model, tools)
        self.history = Shared.everything


class Synchronous:
    """A sound loop that blocks."""

    def __init__(self, model: Any, tools: Any) -> None:
        self.model, self.tools = model, tools
        self.history: list[Message] = []

    def send(self, text: str) -> Message:
        self.history.append(Message("user", text))
        while True:
            reply: Message = self.model.complete(list(self.history))
            self.history.append(reply)
            if not reply.tool_calls:
                return reply
            for call in reply.tool_calls:
                result = self.tools[call.name].run(json.loads(call.arguments))
                self.history.append(Message("tool", str(result), tool_call_id=call.id))


class Hanging(Plain):
    """A loop that never answers a text with the word "wait"."""

    async def send(self, text: str) -> str:
        if "wait" in text:
            await asyncio.Event().wait()
        return await super().send(text)


class Raising(Plain):
    """A loop that fails at a text with the word "fail", and ends the process at one with "exit"."""

    async def send(self, text: str) -> str:
        if "exit" in text:
            raise SystemExit(3)
        answer = await super().send(text)
        if "fail" in text:
            raise ValueError("it went wrong")
        return answer


class Rewording(Plain):
    """A loop that answers in words of its own."""

    async def send(self, text: str) -> str:
        await super().send(text)
        return "As I said."


class Misusing(Plain):
    """A loop that hands its model what no model takes."""

    async def send(self, text: str) -> str:
        return str(await self.model.acomplete(text))


def unmakeable(model: Any, tools: Any) -> Any:
    raise RuntimeError("no such database")
