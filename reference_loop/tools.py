"""Tools: what they look like to the loop, how to make one from a function, and how one is run.

A tool has a ``name``, a ``description``, ``parameters`` (a JSON schema), and ``arun(arguments)``, a coroutine, or else
``run(arguments)``, which then runs in a thread. It may have

- ``category``, what approval goes by: read, write, network or, if missing, destructive;
- ``reads`` and ``writes``, templates of the resources it touches, such as ``file:{path}``: without both it runs alone;
- ``timeout_s``, a limit of its own, and ``expected_s``, how long it usually takes;
- ``idempotent``: it may be run again after a failure.
"""

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar, get_type_hints

from reference_loop.resources import touch as touch

T = TypeVar("T")
Names = Sequence[str] | None
Tools = Mapping[str, Any]


def tool(
    category: str, *, reads: Names = None, writes: Names = None,
    timeout_s: float | None = None, expected_s: float | None = None, idempotent: bool = False,
) -> Callable[[Callable[..., Any]], Any]:  # fmt: skip
    """Make a tool of the decorated function; its name, docstring and signature say the rest.

    >>> @tool(category="read", reads=(), timeout_s=5.0)
    ... async def double(number: int) -> int:
    ...     "Twice the number."
    ...     return 2 * number
    >>> double.parameters["properties"]
    {'number': {'type': 'integer'}}
    """
    given = dict(locals())

    def make(function: Callable[..., Any]) -> Any:
        own = {"name": function.__name__, "description": inspect.getdoc(function), "parameters": schema_of(function)}
        way = "arun" if inspect.iscoroutinefunction(function) else "run"
        return SimpleNamespace(**given, **own, **{way: lambda arguments: function(**arguments)})

    return make


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a JSON schema of the function's parameters; a type that JSON has no word for is left open."""
    hints, words = get_type_hints(function), {str: "string", int: "integer", float: "number", bool: "boolean"}
    parameters = inspect.signature(function).parameters.values()
    types = {each.name: words.get(hints.get(each.name, object)) for each in parameters}
    properties = {name: {"type": word} if word else {} for name, word in types.items()}
    required = [each.name for each in parameters if each.default is each.empty]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


@cache
def threads(process: int) -> ThreadPoolExecutor:
    """The threads of all loops of a process; a forked one makes its own."""
    return ThreadPoolExecutor(32, "tool")


async def run_tool(tool: Any, arguments: dict[str, Any]) -> object:
    """Run *tool*, in a thread if it knows no other way; a thread that nobody waits for any more runs on."""
    if (arun := getattr(tool, "arun", None)) is not None:
        return await arun(arguments)

    def call() -> object:
        try:
            return tool.run(arguments)
        except StopIteration as error:
            # A future cannot carry StopIteration: the waiting coroutine would never wake.
            raise RuntimeError("the tool raised StopIteration") from error

    return await asyncio.get_running_loop().run_in_executor(threads(os.getpid()), copy_context().run, call)


class TimedOut(Exception):
    """Something took longer than the loop allows; not a TimeoutError, which anybody may raise."""


async def within(limit_s: float | None, work: Awaitable[T]) -> T:
    """Await *work* for at most *limit_s* seconds, or for ever; raises TimedOut if it took longer."""
    scope = asyncio.timeout(limit_s)
    try:
        async with scope:
            return await work
    except TimeoutError as error:
        if scope.expired():
            raise TimedOut(f"timed out after {limit_s:g} s") from error
        raise  # The work's own.
