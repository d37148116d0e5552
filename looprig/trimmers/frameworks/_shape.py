"""What the codecs of frameworks share: arguments as JSON, batches of results, and which call a result answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import NotRepresentable

Calls = Mapping[str, ToolCall]
"""The calls so far, by their id; the latest one where an id was used again."""

UNKNOWN = "unknown"
"""The tool's name in a result that answers no call, where a framework wants one."""


def inputs(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments as a dict.

    Raises:
        NotRepresentable: where they are no JSON object, or spelled in a way that `spelled` would not give back.
    """
    try:
        found = json.loads(call.arguments)
    except ValueError:
        found = None
    if not isinstance(found, dict) or spelled(found) != call.arguments:
        raise NotRepresentable(f"arguments are kept as a dict here, which would not give back {call.arguments!r:.60}")
    return found


def spelled(found: Mapping[str, Any]) -> str:
    """Return arguments as the JSON text that looprig's scenarios write."""
    return json.dumps(found)


def name_of(message: Message, calls: Calls) -> str:
    """Return the name of the tool whose result *message* is."""
    call = calls.get(message.tool_call_id or "")
    return call.name if call else UNKNOWN


def quarter(text: str) -> list[int]:
    """Return as many tokens as *text* has by the plain count that all frameworks get: a quarter of its characters."""
    return [0] * (len(text) // 4)


class Kept:
    """What was made of a history, for as long as that is the very same one.

    Who looks at a growing store does not fill it anew each time, so that is no part of what a look costs.
    """

    def __init__(self, make: Callable[[Sequence[Any]], Any]) -> None:
        self._make = make
        self._history: Sequence[Any] | None = None
        self._made: Any = None

    def of(self, history: Sequence[Any]) -> Any:
        """Return what was made of *history*."""
        if self._history is not history:
            self._history, self._made = history, self._make(list(history))
        return self._made


def batched_messages(messages: Sequence[Message]) -> float:
    """Return the number of messages where all results of a batch are one, as several frameworks keep them."""
    return sum(1 for _ in _batches(messages))


def _batches(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Yield results that follow each other together, and everything else one by one."""
    batch: list[Message] = []
    for message in messages:
        if batch and (message.role != "tool" or batch[-1].role != "tool"):
            yield batch
            batch = []
        batch.append(message)
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class FrameworkCodec:
    """A codec from functions for single entries.

    ``one`` makes an entry of a message, ``back`` messages of an entry. Where the framework keeps all results of
    a batch in one entry, ``results`` makes it.
    """

    one: Callable[[Message, Calls], Any]
    back: Callable[[Any], Sequence[Message]]
    results: Callable[[Sequence[Message], Calls], Any] | None = None

    def load(self, messages: Sequence[Message]) -> list[Any]:
        """Return *messages* as new objects of the framework.

        Raises:
            NotRepresentable: where it has no form for them.
        """
        return self._loaded(messages, {})

    def dump(self, native: Sequence[Any]) -> list[Message]:
        """Return the framework's messages as looprig's."""
        return [message for entry in native for message in self.back(entry)]

    def extend(self, native: Sequence[Any], messages: Sequence[Message]) -> list[Any]:
        """Return *native* with *messages* added; a result joins the batch that is still open."""
        kept, before = list(native), self.dump(native)
        calls = {call.id: call for message in before for call in message.tool_calls}
        joins = self.results and kept and messages and messages[0].role == "tool" and before[-1].role == "tool"
        open_batch = self.back(kept.pop()) if joins else ()
        return [*kept, *self._loaded([*open_batch, *messages], calls)]

    def _loaded(self, messages: Sequence[Message], calls: dict[str, ToolCall]) -> list[Any]:
        native: list[Any] = []
        for batch in _batches(messages):
            if self.results is not None and batch[0].role == "tool":
                native.append(self.results(batch, calls))
            else:
                native.extend(self.one(message, calls) for message in batch)
            calls.update((call.id, call) for message in batch for call in message.tool_calls)
        return native
