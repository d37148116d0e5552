"""What comes back in a turn, as events; and what one turn came to, once they have all come.

A client of a service yields these events as it reads them, whatever the service's own format is. `Stopwatch` notes when
each came, on one clock, and makes the turn's metrics of that. Definitions (N: tokens of the answer):

=============  ===================================================================================================
ttft           the first content (text, reasoning or tool call) - when the turn was due
ttft_send      the same, from the moment of sending
ttfo           the first content that is not reasoning - when the turn was due
icl            the gap between two arrivals from the network that carry text; not over a tool call
tpot           (last text - first text) / (N - 1) of the answer's last stretch, which no tool call interrupts
e2e            the end marker - when the turn was due
queue          the moment of sending - when the turn was due
tool_chain     from the first tool call to the first text of the answer that follows the last one
=============  ===================================================================================================

N is what the service counted, where the answer is one stretch and was counted, and otherwise the number of pieces.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec


class Text(msgspec.Struct, frozen=True):
    """A piece of the answer."""

    text: str


class Reasoning(msgspec.Struct, frozen=True):
    """A piece of what the model thinks aloud."""

    text: str


class ToolCall(msgspec.Struct, frozen=True):
    """A tool call that the model has written to its end."""

    name: str = ""


class ToolResult(msgspec.Struct, frozen=True):
    """A tool has come back."""

    name: str = ""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The end marker: the answer is complete. What the service does not tell stays None."""

    rounds: int | None = None
    history_messages: int | None = None
    history_chars: int | None = None
    trim_pause_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    violations: tuple[str, ...] = ()
    """Codes of invariants that the service found broken in this turn."""


Event = Text | Reasoning | ToolCall | ToolResult | End


class TurnFailed(Exception):
    """A turn that did not come to its end. ``reason`` is one of few words, which failures are counted by."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason = reason


class Stopwatch:
    """Notes when the events of one turn come; seconds on one clock, of which only differences count."""

    def __init__(self, due: float, send: float) -> None:
        self.due = due
        self.send = send
        self.end: End | None = None
        self.pieces = 0
        self.icl: list[float] = []
        self._first: float | None = None
        self._first_said: float | None = None
        self._first_call: float | None = None
        self._answered: float | None = None
        self._text_first: float | None = None
        self._text_last: float | None = None
        self._stretch = 0
        self._ended = 0.0

    def note(self, event: Event, at: float) -> None:
        """Take in *event*, which came *at*; what comes after the end marker is let pass."""
        if self.end is not None:
            return
        if isinstance(event, Text):
            self._text(at)
        elif isinstance(event, End):
            self.end, self._ended = event, at
        elif isinstance(event, Reasoning):
            self._first = at if self._first is None else self._first
        else:
            self._tool(isinstance(event, ToolCall), at)

    def _text(self, at: float) -> None:
        self.pieces += 1
        if self._first is None:
            self._first = at
        if self._first_said is None:
            self._first_said = at
        if self._text_last is None:  # a stretch begins
            self._text_first = at
            self._stretch = 0
            if self._first_call is not None:
                self._answered = at
        elif at > self._text_last:
            self.icl.append(at - self._text_last)
        self._text_last = at
        self._stretch += 1

    def _tool(self, call: bool, at: float) -> None:
        self._text_last = None
        if not call:
            return
        for name in ("_first", "_first_said", "_first_call"):
            if getattr(self, name) is None:
                setattr(self, name, at)

    def metrics(self) -> dict[str, float]:
        """Return what this turn, which came to its end, measured: by name, without those that it has no value of."""
        if self.end is None:
            raise ValueError("a turn has metrics once its end marker has come")
        end = self.end
        found = {
            "queue": self.send - self.due,
            "ttft": _since(self.due, self._first),
            "ttft_send": _since(self.send, self._first),
            "ttfo": _since(self.due, self._first_said),
            "e2e": self._ended - self.due,
            "tpot": self._tpot(end),
            "tool_chain": _since(self._first_call, self._answered),
            "trim_pause": end.trim_pause_s,
            "history_messages": end.history_messages,
            "history_chars": end.history_chars,
            "tool_rounds": end.rounds,
        }
        return {name: float(value) for name, value in found.items() if value is not None and 0 <= value < math.inf}

    def _tpot(self, end: End) -> float | None:
        if self._text_first is None or self._text_last is None:
            return None
        counted = end.output_tokens if self._first_call is None and end.output_tokens is not None else None
        tokens = self._stretch if counted is None else counted
        return (self._text_last - self._text_first) / (tokens - 1) if tokens > 1 else None


def _since(start: float | None, at: float | None) -> float | None:
    return None if start is None or at is None else at - start


def end_of(data: Any) -> End:
    """Return the end marker that *data* describes; a figure that cannot be one is left out, as if it were not told."""
    if not isinstance(data, dict):
        return End()
    numbers = {
        name: data[name]
        for name in ("rounds", "history_messages", "history_chars", "input_tokens", "output_tokens")
        if isinstance(data.get(name), int) and not isinstance(data[name], bool) and data[name] >= 0
    }
    pause = data.get("trim_pause_s")
    if isinstance(pause, int | float) and not isinstance(pause, bool) and 0 <= pause < math.inf:
        numbers["trim_pause_s"] = float(pause)
    broken = data.get("violations")
    codes = tuple(str(code) for code in broken) if isinstance(broken, list) else ()
    return End(**numbers, violations=codes)
