"""Running tool calls. Whatever happens, every call gets exactly one result, in call order.

A call is looked up, its arguments are parsed, it is approved, and then it runs. A failure
on the way is a result too: the model reads it and can do better.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from looprig.messages import Message, ToolCall
from reference_loop.approval import Approval
from reference_loop.errors import describe
from reference_loop.monitor import Monitor
from reference_loop.patience import TimedOut, within
from reference_loop.tools import Tool, Tools, run_tool

Deliver = Callable[[Message], None]


class Refused(Exception):
    """A call does not run; the text is for the model."""


class Execution:
    """Runs the tool calls of one loop; *limit_s* is the longest that a tool may take, in seconds."""

    def __init__(
        self,
        tools: Tools,
        approval: Approval,
        monitor: Monitor,
        *,
        limit_s: float | None,
        max_chars: int,
        begun: Callable[[ToolCall], None] | None = None,
    ) -> None:
        self._tools = tools
        self._approval = approval
        self._monitor = monitor
        self._limit_s = limit_s
        self._max_chars = max_chars
        self._hear_begun = begun
        self._begun = False
        """Whether the call whose result is awaited has begun to run."""

    async def run_round(self, calls: Sequence[ToolCall], deliver: Deliver) -> None:
        """Run the calls of a round in call order, and deliver each result as soon as it is there."""
        waiting = deque(calls)
        try:
            while waiting:
                text = await self.run_call(waiting[0])
                self._begun = False
                deliver(_result(waiting.popleft(), text))
        except BaseException:
            self._give_up(waiting, deliver)
            raise

    async def run_call(self, call: ToolCall) -> str:
        """Run one call and return its result as text; what the tool raises is a result too."""
        try:
            tool, arguments = self._find(call), parse_arguments(call.arguments)
            if (refusal := await self._approval.refusal(call, getattr(tool, "category", "destructive"))) is not None:
                raise Refused(f"denied: {refusal}")
        except Refused as refused:
            with self._monitor.span("tool_execution") as span:
                span.fail()
            return bounded(str(refused), self._max_chars)
        return bounded(await self._run(call, tool, arguments), self._max_chars)

    def _find(self, call: ToolCall) -> Tool:
        try:
            return self._tools[call.name]
        except KeyError:
            available = ", ".join(self._tools) or "none"
            raise Refused(f"error: there is no tool {call.name!r}; available: {available}") from None

    async def _run(self, call: ToolCall, tool: Tool, arguments: dict[str, Any]) -> str:
        with self._monitor.span("tool_execution") as span:
            try:
                if self._hear_begun is not None:
                    self._hear_begun(call)
                self._begun = True
                return as_text(await within(self._limit_s, run_tool(tool, arguments)))
            except Exception as error:
                span.fail()
                self._monitor.error(f"tool {call.name}", error)
                reason = f"{error}, outcome unknown" if isinstance(error, TimedOut) else describe(error)
                return f"error: {reason}"

    def _give_up(self, waiting: deque[ToolCall], deliver: Deliver) -> None:
        """Answer what is still open: a call without a result would make every later request invalid."""
        begun, self._begun = self._begun, False
        for call in waiting:
            deliver(_result(call, "cancelled: outcome unknown" if begun else "not run: cancelled"))
            begun = False


def _result(call: ToolCall, text: str) -> Message:
    return Message(role="tool", content=text, tool_call_id=call.id)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def parse_arguments(text: str) -> dict[str, Any]:
    """Return the arguments that the model wrote; no text at all means no arguments.

    Raises:
        Refused: where the text is not a JSON object.
    """
    try:
        arguments = _decoder.decode(text) if text.strip() else {}
    except RecursionError:
        raise Refused("error: the arguments are nested too deeply") from None
    except ValueError as error:
        raise Refused(f"error: the arguments are not valid JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise Refused(f"error: the arguments must be a JSON object, not {type(arguments).__name__}")
    return arguments


def as_text(value: object) -> str:
    """Return a tool's result as text: text as it is, the rest as JSON, and what JSON cannot hold by its type.

    The type alone, because the usual text of an object names its address, which differs from run to run.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    except Exception:  # Not only TypeError and ValueError: dumps runs the value's own code.
        return f"<unserialisable object of type {type(value).__qualname__}>"


def bounded(text: str, max_chars: int) -> str:
    """Return *text* in at most *max_chars* characters that can all be encoded; a cut names the full size."""
    if len(text) > max_chars:
        mark = f"\n[cut: the full result has {len(text)} characters]"
        text = text[: max_chars - len(mark)] + mark
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
