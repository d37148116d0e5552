"""The reference chat loop: validate, inject context, then model and tools in turn until there is an answer.

What holds whatever happens, cancellation included: a text that is refused leaves the history
untouched; no tool call is left without a result; what fails is answered, logged and counted.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from looprig.messages import Message
from reference_loop.approval import Approval, Approve
from reference_loop.config import Config
from reference_loop.errors import ConfigError, NoTurnNow, describe, did_you_mean
from reference_loop.execution import Execution
from reference_loop.history import History, pure_trim
from reference_loop.inputs import CONTEXT_NAME, Retriever, context_for, mock_retriever, validate
from reference_loop.monitor import Monitor, NullMonitor
from reference_loop.persistence import Journal
from reference_loop.policies.base import safe_size
from reference_loop.tools import Tools, within


class Model(Protocol):
    """The model; the list it is given is its own. A stream's pieces have a ``text``, the last one the ``message``."""

    def acomplete(self, messages: list[Message], /) -> Awaitable[Message]: ...
    def astream(self, messages: list[Message], /) -> AsyncIterator[Any]: ...


class ReferenceLoop:
    """One conversation. ``approve`` answers where the configuration says ``ask``; ``on_text`` hears streamed text.

    A display that fails is a failure of the model call: ``on_text`` has to catch what it can go on without.
    """

    def __init__(
        self, model: Model, tools: Tools, config: Config | None = None, *,
        approve: Approve | None = None, retriever: Retriever | None = None,
        on_text: Callable[[str], None] | None = None, monitor: Monitor | None = None,
    ) -> None:  # fmt: skip
        self._config = config = config or Config()
        self._model, self._on_text = model, on_text
        self._retriever = retriever or (mock_retriever if config.retriever == "mock" else None)
        self._monitor = monitor or (Monitor() if config.monitor else NullMonitor())
        self._policy, self._safe_size = config.new_policy(), safe_size(config.max_history_pairs)
        self._history = History(self._policy, check_every=config.check_every, monitor=self._monitor)
        self.journal = Journal(config.journal) if config.journal else None
        self._interrupted = self.journal is not None and self.journal.restore(self._history)
        begun = self.journal.begun if self.journal is not None else None
        approval = Approval(config.decisions(), approve, self._monitor)
        self._execution = Execution(tools, approval, self._monitor, config, begun)
        self._in_turn = self._in_round = self._closed = False
        self._held: list[Message] = []
        self.observe = self._history.observe
        self.trim = pure_trim(config.new_policy)
        if config.system and not self._history:
            self.add_system(config.system)

    async def send(self, text: str) -> Message:
        """Say *text* as the user; return the assistant's final message.

        Raises InputError if the text is refused, and nothing has happened then; NoTurnNow if another turn is
        not over yet, and after `close`.
        """
        if self._interrupted:
            raise NoTurnNow("the process ended in the middle of a turn; await resume() before the next send")
        with self._turn(), self._monitor.span("complete_iteration"):
            with self._monitor.span("input_validation"):
                validate(text, self._config.max_input_chars)
            context = await self._context(self._retriever, text) if self._retriever is not None else None
            self._history.append(Message(role="user", content=text))
            return await self._answer(context)

    async def resume(self) -> Message | None:
        """Finish the turn that was under way when the session's last process ended; None where there was none."""
        if not self._interrupted:
            return None
        with self._turn(), self._monitor.span("complete_iteration"):
            self._interrupted = False
            if self.history[-1].role != "assistant":
                return await self._answer(None)
            self._end_turn()  # The answer was there, only its end was not saved.
            return self.history[-1]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One turn at a time, and none after the end."""
        if self._closed or self._in_turn:
            raise NoTurnNow("the conversation is closed" if self._closed else "a turn is running; await its answer")
        self._in_turn = True
        self._monitor.begin(asyncio.get_running_loop().time)
        try:
            yield
        finally:
            self._in_turn = False

    async def _answer(self, context: Message | None) -> Message:
        """Go from request to request until there is an answer; whatever happens, trim and save at the end."""
        try:
            for _ in range(self._config.max_rounds):
                reply = await self._ask(self._history.request(context))
                self._history.append(reply)
                if not reply.tool_calls:
                    return reply
                await self._run_tools(reply)
            # Without it the history would end on a tool result, which no provider accepts before a user message.
            stopped = Message(role="assistant", content=f"Stopped after {self._config.max_rounds} rounds.")
            self._history.append(stopped)
            return stopped
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        self._history.end_turn()
        self._monitor.watch("memory_utilization", len(self._history) / self._safe_size, above=1.5)
        if self.journal is not None:
            with self._monitor.span("persistence"):
                self.journal.turn_over()

    async def _ask(self, request: list[Message]) -> Message:
        """Return the model's reply, or an answer that says how the call failed."""
        with self._monitor.span("model_call") as span:
            try:
                work = self._streamed(request) if self._config.stream else self._model.acomplete(request)
                reply: object = await within(self._config.model_timeout_s, work)
                if not isinstance(reply, Message) or reply.role != "assistant":
                    raise TypeError(f"a model answers with an assistant message, not {reply!r:.80}")
                return reply
            except Exception as error:
                span.fail(type(error).__qualname__)
                self._monitor.error("the model call", error)
                return Message(role="assistant", content=f"The model call failed: {describe(error)}")

    async def _streamed(self, request: list[Message]) -> Message:
        """Return the whole reply of a stream, and show its text as it comes."""
        reply: Message | None = None
        async for chunk in self._model.astream(request):
            if chunk.text and self._on_text is not None:
                self._on_text(chunk.text)
            reply = chunk.message or reply
        if reply is None:
            raise EOFError("the stream ended before the message was complete")
        return reply

    async def _run_tools(self, reply: Message) -> None:
        """Run the tools that *reply* asks for; their results join the history right behind it."""
        self._in_round = True
        try:
            await self._execution.run_round(reply.tool_calls, self._history.append)
        finally:
            self._in_round = False
            for message in self._held:
                self._history.append(message)
            self._held.clear()

    async def _context(self, retriever: Retriever, text: str) -> Message | None:
        """Return what is found for *text*; an answer without context is better than none."""
        with self._monitor.span("context_injection") as span:
            try:
                return await within(self._config.tool_timeout_s, context_for(text, retriever))
            except Exception as error:
                span.fail(type(error).__qualname__)
                self._monitor.error("the retrieval of context", error)
                return None

    def add_system(self, text: str) -> None:
        """Add a system message; while tool results are due, it waits until they are in."""
        remember = self._held.append if self._in_round else self._history.append
        remember(Message(role="system", content=text))

    @property
    def history(self) -> tuple[Message, ...]:
        """The messages that the loop remembers now."""
        return tuple(self._history.request())

    @property
    def contract(self) -> dict[str, Any]:
        """What the loop promises, under the names of ``looprig.loop.Contract``."""
        promised: dict[str, Any] = dict(self._policy.promises())
        if self._retriever is not None and "messages_max" in promised:
            promised["messages_max"] += 1  # A request carries the context on top of the history.
        return promised | {
            "rounds_max": self._config.max_rounds,
            "safe_size": self._safe_size,
            "notes": (CONTEXT_NAME, *promised.get("notes", ())),
            "asks_approval": self._config.decisions()["destructive"] == "ask",
            "skips_dependants": self._config.on_failure == "skip",
        }

    def statistics(self) -> dict[str, float]:
        """Return the loop's own figures; ``timestamp`` is wall time, in seconds since the epoch."""
        return {
            "conversation_length": len(self._history),
            "max_history_pairs": self._config.max_history_pairs,
            "memory_utilization": len(self._history) / self._safe_size,
            "timestamp": time.time(),
            **self._monitor.statistics(),
        }

    def close(self) -> None:
        """End the conversation; the history can still be read."""
        self._closed = True
        if self.journal is not None:
            self.journal.close()


def make_loop(model: Model, tools: Tools, **options: Any) -> ReferenceLoop:
    """Return a loop by the names of its options, the fields of `Config`; where the tools have ``approve``, it is asked.

    Raises ConfigError for an option or a value that is not known.
    """
    for name in options:
        if name not in Config.__struct_fields__:
            raise ConfigError(f"unknown option {name!r}{did_you_mean(name, Config.__struct_fields__)}")
    return ReferenceLoop(model, tools, Config(**options), approve=getattr(tools, "approve", None))
