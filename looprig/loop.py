"""The whole contract between looprig and a loop under test.

A loop comes from a *factory*, any callable that takes a model and tools::

    def make_loop(model, tools):
        return MyLoop(model, tools)

and needs one method, ``send``. Everything else here is optional, and found by name:
a loop never has to import looprig.

======================  =====================================================================
``send(text)``          say *text* as the user, return the answer; a function or a coroutine
``history``             the messages that the loop remembers now
``add_system(text)``    the application adds a system message to the conversation
``contract``            what the loop promises (`Contract`, or a dict of it); the rest is not judged
``trim(messages)``      the loop's trim as a pure function (`Trim`), to be judged by itself
``observe(listener)``   tell *listener* of appends and trims (`HistoryListener`)
``statistics()``        the loop's own figures, as a flat mapping
``close()``             the conversation is over
======================  =====================================================================
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, overload, runtime_checkable

import msgspec

from looprig.messages import Message


class ModelError(Exception):
    """A model call that failed the way providers fail; ``status`` is the HTTP status (429, 500, 400)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Chunk(msgspec.Struct, frozen=True):
    """One piece of a streamed reply: a piece of text, and with the last piece the whole message."""

    text: str
    message: Message | None = None


class Model(Protocol):
    """The model, as looprig hands it to a loop.

    Give it `Message` values and it answers with one; give it chat-completions dicts and it
    answers with a dict. The list is read before the call returns and never kept or changed.

    Raises:
        ModelError: where the scenario plans a fault.
    """

    @overload
    def complete(self, messages: Sequence[Message]) -> Message: ...
    @overload
    def complete(self, messages: Sequence[dict[str, Any]]) -> dict[str, Any]: ...

    @overload
    async def acomplete(self, messages: Sequence[Message]) -> Message: ...
    @overload
    async def acomplete(self, messages: Sequence[dict[str, Any]]) -> dict[str, Any]: ...

    def stream(self, messages: Sequence[Message]) -> Iterator[Chunk]: ...

    def astream(self, messages: Sequence[Message]) -> AsyncIterator[Chunk]: ...

    def refused(self, messages: Sequence[Message] | Sequence[dict[str, Any]]) -> None:
        """Take note of a request that a provider between the loop and the model has refused."""
        ...


class Tool(Protocol):
    """A tool, as looprig hands it to a loop.

    ``parameters`` is a JSON schema. ``category`` is what approval policies go by:
    ``read``, ``write``, ``network`` or ``destructive``. ``reads`` and ``writes`` name the
    resources that a call with these arguments touches.
    """

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def category(self) -> str: ...

    def run(self, arguments: Mapping[str, Any]) -> object: ...
    async def arun(self, arguments: Mapping[str, Any]) -> object: ...


class Tools(Protocol):
    """The tools of a run, a mapping from name to `Tool`, with the person who approves calls."""

    def __getitem__(self, name: str, /) -> Tool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...

    def approve(self, call_id: str, name: str, arguments: str) -> bool:
        """Answer whether the call may run; a loop that asks nobody simply never calls this."""
        ...


@runtime_checkable
class ChatLoop(Protocol):
    """One conversation with the loop under test."""

    def send(self, text: str) -> object | Awaitable[object]:
        """Say *text* as the user; return the answer as text, message or dict, or an awaitable of one."""
        ...


class LoopFactory(Protocol):
    """Makes a fresh loop; called once for each session of a scenario."""

    def __call__(self, model: Any, tools: Any, /) -> Any: ...


class HistoryListener(Protocol):
    """Hears what a loop does to its history."""

    def appended(self, length: int) -> None:
        """One message was appended; the history now has *length* messages, before any trim."""
        ...

    def trimmed(self, before: int, after: int, pause_ns: int) -> None:
        """A trim took the history from *before* to *after* messages, and took *pause_ns* of CPU time."""
        ...


class Contract(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a loop promises. A promise that is not made is not judged, and the report says so.

    ``messages_max``, ``tokens_max``: no request is larger, unless what must be kept alone is.
    ``trigger``: nothing is dropped while the history has at most this many messages.
    ``target``: a trim leaves at most this many, and drops no more than that needs.
    ``rounds_max``: no turn asks the model more often.
    ``safe_size``: what utilisation is relative to.
    ``notes``: names of messages that the loop adds by itself (summaries, retrieved context).
    ``mask``: the text that the loop puts in place of old tool results, once the model has seen them.
    ``asks_approval``: every call of a ``destructive`` tool is put to ``tools.approve`` first.
    ``skips_dependants``: where a tool call fails, those later in its round that conflict with it need not run.
    ``providers``: names of the providers whose rules every request keeps: ``openai-chat``, ``openai-responses``,
    ``anthropic``, ``gemini``.
    ``waive``: code of an invariant to the reason why it does not apply; printed in every report.
    """

    messages_max: int | None = None
    tokens_max: int | None = None
    trigger: int | None = None
    target: int | None = None
    rounds_max: int | None = None
    safe_size: int | None = None
    notes: tuple[str, ...] = ()
    mask: str | None = None
    asks_approval: bool = False
    skips_dependants: bool = False
    providers: tuple[str, ...] = ()
    waive: Mapping[str, str] = {}


Trim = Callable[[Sequence[Message]], Sequence[Message]]
"""A loop's trim as a pure function, offered as its ``trim`` attribute: then looprig also asks whether it is
idempotent and deterministic and leaves its input alone."""
