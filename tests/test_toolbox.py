"""Which calls may run at once: those of which none writes what another one touches."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import product

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.toolbox import TOOLBOX, conflict, resources

CATEGORIES = {"read", "write", "network", "destructive"}

# Few letters, so that paths and prefixes meet often; no pattern characters but the last star.
NAMES = st.text("ab/", max_size=3)
PATTERNS = st.builds(lambda name, star: name + star, NAMES, st.sampled_from(["", "*"]))
TOUCHED = st.tuples(st.lists(PATTERNS, max_size=2).map(tuple), st.lists(PATTERNS, max_size=2).map(tuple))

ALL_NAMES = ["".join(letters) for size in range(6) for letters in product("ab/", repeat=size)]


@pytest.mark.parametrize("name", TOOLBOX)
def test_tools(name: str):
    """
    Each tool goes by its own name, says what it does, and is of a category that approval knows.
    """
    spec = TOOLBOX[name]

    assert name == spec.name
    assert spec.description.endswith(".")
    assert spec.category in CATEGORIES
    jsonschema.Draft202012Validator.check_schema(spec.parameters())
    jsonschema.validate(dict.fromkeys((*spec.inputs, "ref"), "text"), spec.parameters())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(dict.fromkeys(spec.inputs, "text"), spec.parameters())


@pytest.mark.parametrize(
    ("name", "inputs", "touched"),
    [
        ("search", {"query": "x"}, ((), ())),
        ("read_file", {"path": "a.txt"}, (("file:a.txt",), ())),
        ("write_file", {"path": "a.txt", "text": "{path}"}, ((), ("file:a.txt",))),
        ("write_file", {"path": "{0}{path}*"}, ((), ("file:{0}{path}*",))),
        ("list_files", {"prefix": "notes/"}, (("file:notes/*",), ())),
        ("list_files", {}, (("file:*",), ())),
        ("fetch_url", {"url": "https://example.org"}, (("url:https://example.org",), ())),
        ("delete_file", {"path": "a.txt"}, ((), ("file:a.txt",))),
        ("run_command", {"command": "ls"}, ((), ("*",))),
        ("somebody_elses", {"path": "a.txt"}, ((), ("*",))),
    ],
)
def test_resources(name: str, inputs: dict[str, str], touched: tuple[tuple[str, ...], tuple[str, ...]]):
    """
    A call touches what its inputs name; a tool that is not known touches everything.
    """
    assert touched == resources(name, inputs)


@pytest.mark.parametrize(
    ("first", "second", "conflicts"),
    [
        (("read_file", "a"), ("read_file", "a"), False),
        (("read_file", "a"), ("write_file", "a"), True),
        (("write_file", "a"), ("write_file", "a"), True),
        (("write_file", "a"), ("write_file", "b"), False),
        (("list_files", "a"), ("delete_file", "ab"), True),
        (("list_files", "b"), ("delete_file", "ab"), False),
        (("fetch_url", "a"), ("write_file", "a"), False),
        (("search", "a"), ("run_command", "a"), False),
        (("read_file", "a"), ("run_command", "a"), True),
        (("run_command", "a"), ("run_command", "a"), True),
        (("nobodys", "a"), ("read_file", "b"), True),
    ],
)
def test_calls(first: tuple[str, str], second: tuple[str, str], conflicts: bool):
    """
    Two calls keep their order where one writes what the other touches, whichever comes first.
    """
    one, two = (resources(name, dict.fromkeys(("path", "prefix", "url"), value)) for name, value in (first, second))

    assert conflicts == conflict(one, two) == conflict(two, one)


@given(TOUCHED, TOUCHED)
def test_conflict(one: tuple[tuple[str, ...], tuple[str, ...]], two: tuple[tuple[str, ...], tuple[str, ...]]):
    """
    Two calls conflict exactly where some resource is written by one and touched by the other.
    """

    def named(patterns: tuple[str, ...]) -> set[str]:
        return {name for name in ALL_NAMES for pattern in patterns if fnmatchcase(name, pattern)}

    (reads, writes), (reads_2, writes_2) = one, two
    meet = named(writes) & named(reads_2 + writes_2) or named(writes_2) & named(reads)

    assert bool(meet) == conflict(one, two) == conflict(two, one)
