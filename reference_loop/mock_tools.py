"""A handful of tools without side effects outside the process, for trying the loop by hand and in tests."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from reference_loop.tools import FunctionTool, tool

# No power: 9**9**9 is short to write and long to wait for.
_OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
}

_PAGES = {
    "history": "A history is the messages that a loop remembers, in order.",
    "turn": "A turn is one user message and everything up to the answer.",
    "group": "A group is an assistant message with tool calls and all of its results.",
}


def mock_tools(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> dict[str, FunctionTool]:
    """Return fresh tools by name; the notes of one set are not those of another."""
    notes: dict[str, str] = {}

    @tool(category="read")
    async def calculator(expression: str) -> float:
        """Work out a sum with + - * / and brackets."""
        return evaluate(expression)

    @tool(category="read")
    async def clock() -> str:
        """Say what time it is."""
        return now().isoformat(timespec="seconds")

    @tool(category="network")
    async def search(query: str) -> list[str]:
        """Find pages that have a word of the query for their title."""
        return [_PAGES[word] for word in query.lower().split() if word in _PAGES]

    @tool(category="write")
    async def write_note(title: str, text: str) -> str:
        """Write a note, in place of an older one of the same title."""
        notes[title] = text
        return f"noted {title!r}"

    @tool(category="read")
    async def read_notes() -> dict[str, str]:
        """Read all notes."""
        return dict(notes)

    @tool(category="destructive")
    async def delete_note(title: str) -> str:
        """Delete a note for good."""
        del notes[title]
        return f"deleted {title!r}"

    return {each.name: each for each in (calculator, clock, search, write_note, read_notes, delete_note)}


def evaluate(expression: str) -> float:
    """Work out a sum, and nothing but a sum: no names, no calls."""
    return _value(ast.parse(expression, mode="eval").body)


def _value(node: Any) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left), _value(right))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(operand))
    raise ValueError(f"not a sum: {ast.unparse(node)}")
