"""The tools that scenarios call: what a model is told of them, and which resources they touch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool's name, description, inputs, category for approval, and resources.

    ``reads`` and ``writes`` are templates over the inputs, such as ``file:{path}``. A name that ends in
    ``*`` stands for all resources that start so; ``*`` alone for everything.
    """

    name: str
    description: str
    inputs: tuple[str, ...]
    category: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    def parameters(self) -> Mapping[str, Any]:
        """Return the JSON schema of the arguments; ``ref`` is the place in the scenario, which the model fills in."""
        names = (*self.inputs, "ref")
        return {
            "type": "object",
            "properties": {name: {"type": "string"} for name in names},
            "required": list(names),
        }


TOOLBOX: Mapping[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        ToolSpec("search", "Search the web.", ("query",), "network"),
        ToolSpec("read_file", "Read a file.", ("path",), "read", reads=("file:{path}",)),
        ToolSpec("write_file", "Write a file.", ("path", "text"), "write", writes=("file:{path}",)),
        ToolSpec("list_files", "List the files below a prefix.", ("prefix",), "read", reads=("file:{prefix}*",)),
        ToolSpec("fetch_url", "Fetch a page.", ("url",), "network", reads=("url:{url}",)),
        ToolSpec("delete_file", "Delete a file for good.", ("path",), "destructive", writes=("file:{path}",)),
        ToolSpec("run_command", "Run a shell command.", ("command",), "write", writes=("*",)),
    )
}


def resources(name: str, inputs: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a call reads and writes; a tool that is not known touches everything."""
    spec = TOOLBOX.get(name)
    if spec is None:
        return (), ("*",)
    return _filled(spec.reads, inputs), _filled(spec.writes, inputs)


def _filled(templates: tuple[str, ...], inputs: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(template.format_map({name: inputs.get(name, "") for name in _NAMES}) for template in templates)


_NAMES = ("path", "prefix", "url")


def conflict(first: tuple[tuple[str, ...], tuple[str, ...]], second: tuple[tuple[str, ...], tuple[str, ...]]) -> bool:
    """Say whether two calls, given as (reads, writes), must keep their order: one writes what the other touches."""
    (reads, writes), (reads_2, writes_2) = first, second
    return _meet(writes, reads_2 + writes_2) or _meet(writes_2, reads)


def _meet(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return any(_overlap(one, other) for one in some for other in others)


def _overlap(one: str, other: str) -> bool:
    if one.endswith("*") and other.endswith("*"):
        one, other = one[:-1], other[:-1]
        return one.startswith(other) or other.startswith(one)
    if one.endswith("*"):
        return other.startswith(one[:-1])
    if other.endswith("*"):
        return one.startswith(other[:-1])
    return one == other
