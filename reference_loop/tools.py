"""Tools: what they look like to the loop, and how to make one from a function."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, get_type_hints


class Tool(Protocol):
    """Something that the model may ask to be run.

    ``parameters`` is a JSON schema; ``category`` (read, write, network, destructive) is what
    approval goes by. A tool has ``arun(arguments)``, a coroutine, or else ``run(arguments)``,
    which then runs in a thread.
    """

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def category(self) -> str: ...


class Tools(Protocol):
    """Tools by name: a dict will do."""

    def __getitem__(self, name: str, /) -> Tool: ...
    def __iter__(self) -> Iterator[str]: ...


async def run_tool(tool: Any, arguments: dict[str, Any]) -> object:
    """Run *tool*, in a thread if it knows no other way."""
    if (arun := getattr(tool, "arun", None)) is not None:
        return await arun(arguments)
    return await in_thread(tool.run, arguments)


async def in_thread(function: Callable[..., object], *args: Any, **kwargs: Any) -> object:
    """Call *function* in a thread."""

    def call() -> object:
        try:
            return function(*args, **kwargs)
        except StopIteration as error:
            # A future cannot carry StopIteration: the waiting coroutine would never wake.
            raise RuntimeError("the tool raised StopIteration") from error

    return await asyncio.to_thread(call)


@dataclass(frozen=True)
class FunctionTool:
    """A function, plain or async, as a tool; made by `tool`."""

    function: Callable[..., Any]
    name: str
    description: str
    parameters: Mapping[str, Any]
    category: str

    async def arun(self, arguments: dict[str, Any]) -> object:
        """Call the function with *arguments* as keywords."""
        if inspect.iscoroutinefunction(self.function):
            return await self.function(**arguments)
        return await in_thread(self.function, **arguments)


def tool(category: str) -> Callable[[Callable[..., Any]], FunctionTool]:
    """Make a tool of the decorated function; its name, docstring and signature say the rest.

    >>> @tool(category="read")
    ... async def double(number: int) -> int:
    ...     "Twice the number."
    ...     return 2 * number
    >>> double.parameters["properties"]
    {'number': {'type': 'integer'}}
    """

    def make(function: Callable[..., Any]) -> FunctionTool:
        return FunctionTool(function, function.__name__, inspect.getdoc(function) or "", schema_of(function), category)

    return make


_JSON_TYPES: dict[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a JSON schema of the function's parameters; a type that JSON has no word for is left open."""
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    properties = {each.name: _json_type(hints.get(each.name)) for each in parameters}
    required = [each.name for each in parameters if each.default is each.empty]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _json_type(hint: object) -> dict[str, str]:
    return {"type": _JSON_TYPES[hint]} if hint in _JSON_TYPES else {}
