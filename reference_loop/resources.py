"""What calls touch: which of them must keep their order, and whether a tool does what it declares.

A resource is a name, such as ``file:notes.txt``; a name that ends in ``*`` stands for all that start so.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple


class Access(NamedTuple):
    """The resources that a call reads and writes."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


NOTHING, EVERYTHING = Access(), Access(writes=("*",))

touched: ContextVar[set[tuple[str, bool]] | None] = ContextVar("touched", default=None)
"""What the call that runs here has touched; a call's context reaches into its thread and its tasks."""


def touch(resource: str, write: bool = False) -> None:
    """Tell the audit that the tool which runs here reads, or writes, *resource*."""
    if (accesses := touched.get()) is not None:
        accesses.add((resource, write))


def declared(tool: object, arguments: Mapping[str, Any]) -> Access:
    """Return what *tool* declares for these arguments; everything where it declares nothing, or they do not fit.

    What is filled in is not read as a template. An argument that ends in ``*`` makes a name for more than is touched.
    """

    def fill(place: re.Match[str]) -> str:
        if type(value := arguments[place[1]]) not in (str, int):
            raise TypeError(f"{value!r:.80} is no part of a name")
        return str(value)

    reads, writes = getattr(tool, "reads", None), getattr(tool, "writes", None)
    if reads is None and writes is None:
        return EVERYTHING
    try:
        named = [[names] if isinstance(names, str) else names or () for names in (reads, writes)]
        return Access(*(tuple([re.sub(r"\{(\w+)\}", fill, each) for each in names]) for names in named))
    except (KeyError, TypeError):
        return EVERYTHING


def covers(pattern: str, name: str) -> bool:
    """Say whether *pattern* stands for all that *name* stands for."""
    return pattern == name or (pattern[-1:] == "*" and name.startswith(pattern[:-1]))


def undeclared(access: Access, accesses: Iterable[tuple[str, bool]]) -> list[str]:
    """Return in words what was touched beyond *access*; what a call may write it may read too."""
    return [
        f"{'writes' if write else 'reads'} {resource}"
        for resource, write in sorted(accesses)
        if not any(covers(each, resource) for each in (access.writes if write else access.reads + access.writes))
    ]


def order(accesses: Sequence[Access]) -> list[set[int]]:
    """Return for each call which earlier ones it has to wait for: one of the two writes what the other touches.

    Of each resource, only the last writer and the readers since are named: they have waited for those before them.
    """
    since: dict[str, list[int]] = {}  # first the last writer, or -1, then the readers
    patterns = {name for access in accesses for names in access for name in names if name[-1:] == "*"}

    def meeting(name: str) -> list[list[int]]:
        among = since if name in patterns else patterns & since.keys()
        return [since[each] for each in among if covers(name, each) or covers(each, name)]

    result: list[set[int]] = []
    for number, (reads, writes) in enumerate(accesses):
        before: set[int] = set()
        for name in reads:
            before.add(since.setdefault(name, [-1])[0])
            before.update([each[0] for each in meeting(name)] if patterns else ())
            since[name].append(number)
        for name in writes:
            before.update(since.get(name, ()), *(meeting(name) if patterns else ()))
            since[name] = [number]
        before.discard(-1)
        before.discard(number)
        result.append(before)
    return result
