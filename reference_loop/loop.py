"""The reference chat loop: validate, inject context, then model and tools in turn until there is an answer.

What holds whatever happens, cancellation included: a text that is refused leaves the history
untouched; no tool call is left without a result; what fails is answered, logged and counted.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol

from looprig.messages import Message
from reference_loop.approval import Approval, Approve
from reference_loop.config import Config
from reference_loop.context import CONTEXT_NAME, Retriever, context_message
from reference_loop.errors import LoopClosed, TurnInProgress, describe
from reference_loop.execution import Execution
from reference_loop.history import History, HistoryListener
from reference_loop.monitor import Monitor, NullMonitor
from reference_loop.patience import within
from reference_loop.policies import safe_size
from reference_loop.tools import Tools
from reference_loop.validation import validate


class Chunk(Protocol):
    """One piece of a streamed reply; the last one has the whole message."""

    @property
    def text(self) -> str: ...
    @property
    def message(self) -> Message | None: ...


class Model(Protocol):
    """The model. The list it is given is its own; ``astream`` is only needed with ``stream=True``."""

    def acomplete(self, messages: list[Message], /) -> Awaitable[Message]: ...
    def astream(self, messages: list[Message], /) -> AsyncIterator[Chunk]: ...


class ReferenceLoop:
    """One conversation. ``approve`` answers where the configuration says ``ask``; ``on_text`` hears streamed text."""

    def __init__(
        self,
        model: Model,
        tools: Tools,
        config: Config | None = None,
        *,
        approve: Approve | None = None,
        retriever: Retriever | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        self._config = config or Config()
        self._model = model
        self._retriever = retriever
        self._on_text = on_text
        self._monitor = Monitor() if self._config.monitor else NullMonitor()
        self._policy = self._config.new_policy()
        self._history = History(self._policy, check_every=self._config.check_every, monitor=self._monitor)
        self._execution = Execution(
            tools,
            Approval(self._config.approval, approve, self._monitor),
            self._monitor,
            limit_s=self._config.tool_timeout_s,
            max_chars=self._config.max_result_chars,
        )
        self._in_turn = False
        self._in_round = False
        self._held: list[Message] = []
        self._closed = False
        self.trim = self._trim if self._policy.trim is not None else None

    @property
    def history(self) -> tuple[Message, ...]:
        """The messages that the loop remembers now."""
        return self._history.snapshot()

    @property
    def contract(self) -> dict[str, Any]:
        """What the loop promises, under the names of ``looprig.loop.Contract``."""
        promised: dict[str, Any] = self._policy.promises()
        if self._retriever is not None and "messages_max" in promised:
            promised["messages_max"] += 1  # A request carries the context on top of the history.
        return promised | {
            "rounds_max": self._config.max_rounds,
            "safe_size": safe_size(self._config.max_history_pairs),
            "notes": (CONTEXT_NAME,),
            "asks_approval": self._config.approval["destructive"] == "ask",
        }

    async def send(self, text: str) -> Message:
        """Say *text* as the user; return the assistant's final message.

        Raises:
            InputError: if the text is refused; nothing has happened then.
            TurnInProgress: if another turn is running.
            LoopClosed: after `close`.
        """
        if self._closed:
            raise LoopClosed("the conversation is closed; make a new loop")
        if self._in_turn:
            raise TurnInProgress("a turn is running; await its answer before the next send")
        self._in_turn = True
        self._monitor.clock = asyncio.get_running_loop().time
        try:
            with self._monitor.span("complete_iteration"):
                return await self._turn(text)
        finally:
            self._in_turn = False

    def add_system(self, text: str) -> None:
        """Add a system message; while tool results are due, it waits until they are in."""
        message = Message(role="system", content=text)
        if self._in_round:
            self._held.append(message)
        else:
            self._history.append(message)

    def observe(self, listener: HistoryListener) -> None:
        """Tell *listener* of every append and trim from now on."""
        self._history.observe(listener)

    def statistics(self) -> dict[str, float]:
        """Return the loop's own figures; ``timestamp`` is wall time, in seconds since the epoch."""
        length, pairs = len(self._history), self._config.max_history_pairs
        return {
            "conversation_length": length,
            "max_history_pairs": pairs,
            "memory_utilization": length / safe_size(pairs),
            "timestamp": time.time(),
            **self._monitor.statistics(),
        }

    def close(self) -> None:
        """End the conversation; the history can still be read."""
        self._closed = True

    async def _turn(self, text: str) -> Message:
        with self._monitor.span("input_validation"):
            validate(text, self._config.max_input_chars)
        context = await self._context(self._retriever, text) if self._retriever is not None else None
        try:
            self._history.append(Message(role="user", content=text))
            return await self._answer(context)
        finally:
            self._history.end_turn()

    async def _answer(self, context: Message | None) -> Message:
        for _ in range(self._config.max_rounds):
            try:
                reply = await self._ask(context)
            except Exception as error:
                self._monitor.error("the model call", error)
                return self._say(f"The model call failed: {describe(error)}")
            if not reply.tool_calls:
                self._history.append(reply)
                return reply
            await self._round(reply)
        # Without this message the history would end on a tool result, which no provider accepts before a user message.
        return self._say(f"Stopped after {self._config.max_rounds} rounds without an answer.")

    def _say(self, text: str) -> Message:
        message = Message(role="assistant", content=text)
        self._history.append(message)
        return message

    async def _round(self, reply: Message) -> None:
        self._in_round = True
        try:
            self._history.append(reply)
            await self._execution.run_round(reply.tool_calls, self._history.append)
        finally:
            self._in_round = False
            for message in self._held:
                self._history.append(message)
            self._held.clear()

    async def _ask(self, context: Message | None) -> Message:
        request = self._history.request(context)
        with self._monitor.span("model_call"):
            work = self._streamed(request) if self._config.stream else self._model.acomplete(request)
            return _checked(await within(self._config.model_timeout_s, work))

    async def _streamed(self, request: list[Message]) -> Message:
        reply: Message | None = None
        async for chunk in self._model.astream(request):
            if chunk.text and self._on_text is not None:
                self._show(self._on_text, chunk.text)
            if chunk.message is not None:
                reply = chunk.message
        if reply is None:
            raise EOFError("the stream ended before the message was complete")
        return reply

    def _show(self, on_text: Callable[[str], None], text: str) -> None:
        try:
            on_text(text)
        except Exception as error:  # A display that fails is no reason to lose the answer.
            self._monitor.error("showing streamed text", error)

    async def _context(self, retriever: Retriever, text: str) -> Message | None:
        with self._monitor.span("context_injection") as span:
            try:
                return context_message(await within(self._config.tool_timeout_s, _retrieved(retriever, text)))
            except Exception as error:  # An answer without context is better than none.
                span.fail()
                self._monitor.error("the retrieval of context", error)
                return None

    def _trim(self, messages: Sequence[Message]) -> list[Message]:
        """The policy's trim as a pure function: what would stay of *messages*."""
        kept = self._policy.trim(messages) if self._policy.trim is not None else None
        return list(messages) if kept is None else kept


async def _retrieved(retriever: Retriever, text: str) -> list[str]:
    found = retriever.retrieve(text)
    return await found if inspect.isawaitable(found) else found


def _checked(reply: object) -> Message:
    if not isinstance(reply, Message) or reply.role != "assistant":
        raise TypeError(f"a model answers with an assistant message, not {reply!r:.80}")
    return reply
