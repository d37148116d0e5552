"""The model that a served loop talks to: looprig's scripted model, whose replies take their time, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from looprig.loop import Chunk
from looprig.messages import Message
from looprig.script import ScriptedModel, Session
from looprig.service.seat import Seat
from looprig.serving.flow import TOGETHER_S, until
from looprig.serving.pacing import Pace, cut


class PacedModel(ScriptedModel):
    """Hands out each answer in pieces when they are due: to the client, and to a loop that streams.

    How long a reply takes is what the service was started with; without that, what the scenario plans.
    """

    def __init__(self, session: Session, seat: Seat, pace: Pace) -> None:
        super().__init__(session)
        self._seat = seat
        self._pace = pace

    async def acomplete(self, messages: Any) -> Any:
        """Return the next reply; its time is awaited."""
        plan = self._receive(messages)
        pieces, dues = self._laid_out(plan)
        if dues:
            async for part in self._when_due(plan, pieces, dues):
                self._seat.say(part)
        elif pieces:
            self._seat.say(pieces)
        return self._answer(plan, messages)

    async def astream(self, messages: Sequence[Message]) -> AsyncIterator[Chunk]:
        """Yield the next reply in pieces; the last piece has the whole message."""
        plan = self._receive(messages)
        pieces, dues = self._laid_out(plan)
        if dues:
            async for part in self._when_due(plan, pieces, dues):
                self._seat.say(part)
                yield Chunk("".join(part))
        else:
            self._seat.say(pieces)
            yield Chunk("".join(pieces))
        yield Chunk("", self._deliver(plan))

    def complete(self, messages: Any) -> Any:
        """Return the next reply; its time is waited for in this thread."""
        for part in self._waited_for(plan := self._received(messages)):
            self._seat.say(part)
        return self._answer(plan, messages)

    def stream(self, messages: Sequence[Message]) -> Iterator[Chunk]:
        """Yield the next reply in pieces; the last piece has the whole message."""
        for part in self._waited_for(plan := self._received(messages)):
            self._seat.say(part)
            yield Chunk("".join(part))
        yield Chunk("", self._deliver(plan))

    def _received(self, messages: Any) -> Any:
        if self._session.stopped is not None:
            raise self._session.stopped  # a thread can be stopped nowhere else
        return self._receive(messages)

    def _laid_out(self, plan: Any) -> tuple[list[str], list[float]]:
        """Return the pieces of an answer and when each is due, in seconds from now; no dues mean at once."""
        message, seat = plan.message, self._seat
        texts = [cut(text) for text in (message.content, *[call.arguments for call in message.tool_calls])]
        pieces = [] if message.tool_calls else texts[0]
        count = sum(map(len, texts))
        if message.tool_calls:
            seat.spent(count)
        else:
            seat.answering(count)
        dues = self._dues(plan, count)
        return pieces, dues[-1:] if message.tool_calls else dues

    def _dues(self, plan: Any, count: int) -> list[float]:
        live = self._seat.live
        if live is None or live.muted:
            return []
        late_s = plan.delay_s if plan.fault is not None or not self._pace.any else 0.0
        count = max(1, count)
        if not self._pace.any:
            if not late_s:
                return []
            return [late_s * (number * plan.chunks // count + 1) / plan.chunks for number in range(count)]
        ident = f"{self._session.number}/{live.number}/{plan.round}"
        dues = self._pace.dues(ident, count, live.uncached, 0)
        return [late_s + due for due in dues] if late_s else dues

    async def _when_due(self, plan: Any, pieces: list[str], dues: list[float]) -> AsyncIterator[list[str]]:
        now = asyncio.get_running_loop().time
        begun, at, count = now(), 0, len(dues)
        try:
            while at < count:
                await until(begun + dues[at])
                first, last = at, now() - begun + TOGETHER_S
                while at < count and dues[at] <= last:
                    at += 1
                at = max(at, first + 1)
                yield pieces[first:at]
        except BaseException:
            self._failed(plan, "abandoned")
            raise

    def _waited_for(self, plan: Any) -> Iterator[list[str]]:
        pieces, dues = self._laid_out(plan)
        if not dues:
            yield pieces
            return
        clock = self._session.clock
        begun, at, count = clock.now(), 0, len(dues)
        while at < count:
            clock.sleep(max(0.0, begun + dues[at] - clock.now()))
            first, last = at, clock.now() - begun + TOGETHER_S
            while at < count and dues[at] <= last:
                at += 1
            at = max(at, first + 1)
            yield pieces[first:at]
