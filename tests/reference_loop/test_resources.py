"""What calls touch: declared, compared, put in order and audited."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.toolbox import TOOLBOX, conflict, resources
from reference_loop.resources import EVERYTHING, NOTHING, Access, covers, declared, order, touch, touched, undeclared

# Few letters, so that names and patterns meet often.
names_s = st.text("ab", max_size=3)
patterns_s = st.builds(lambda name, star: name + star, names_s, st.sampled_from(["", "", "*"]))
accesses_s = st.builds(Access, st.lists(patterns_s, max_size=2).map(tuple), st.lists(patterns_s, max_size=2).map(tuple))


def all_pairs(accesses: Sequence[Access]) -> list[set[int]]:
    """Return which earlier calls each one must come after, by looking at all pairs, and all that follows from that."""
    result: list[set[int]] = []
    for number, access in enumerate(accesses):
        before = {earlier for earlier in range(number) if conflict(accesses[earlier], access)}
        result.append(before.union(*(result[earlier] for earlier in before)))
    return result


def followed(before: Sequence[set[int]]) -> list[set[int]]:
    result: list[set[int]] = []
    for some in before:
        result.append(some.union(*(result[earlier] for earlier in some)))
    return result


@given(st.lists(accesses_s, max_size=12))
def test_order(accesses: list[Access]):
    """
    A call comes after exactly those that looprig says it conflicts with, and after what these come after.
    """
    before = order(accesses)

    assert all_pairs(accesses) == followed(before)
    for number, some in enumerate(before):
        assert all(earlier < number for earlier in some)


def test_order_names_few():
    """
    Of a resource, a call waits for the last writer or the readers since, however many there were before.
    """
    read, write = Access(("a",)), Access((), ("a",))

    assert [set(), {0}, {1}, {1}, {1, 2, 3}, {4}] == order([write, write, read, read, write, read])
    assert [set(), {0}, {1}, {2}] == order([EVERYTHING] * 4)
    assert [set()] * 3 == order([NOTHING, EVERYTHING, NOTHING])


@given(patterns_s, patterns_s)
def test_covers(pattern: str, name: str):
    """
    A pattern covers a name when everything that the name stands for conflicts with it.
    """
    reads, writes = ((name,), ()), ((), (pattern,))

    assert conflict(writes, reads) == (covers(pattern, name) or covers(name, pattern))


@pytest.mark.parametrize("name", TOOLBOX)
@given(value=st.text("ab/*{}"))
def test_looprigs_tools(name: str, value: str):
    """
    With looprig's tools, a call touches what looprig says.
    """
    inputs = dict.fromkeys(TOOLBOX[name].inputs, value)

    assert resources(name, inputs) == declared(TOOLBOX[name], inputs)


def tool_of(reads: Any = None, writes: Any = None) -> Any:
    return SimpleNamespace(reads=reads, writes=writes)


@pytest.mark.parametrize(
    ("reads", "writes", "arguments", "access"),
    [
        (None, None, {}, EVERYTHING),
        ((), None, {}, NOTHING),
        (None, (), {}, NOTHING),
        ("file:{path}", "notes", {"path": "a"}, Access(("file:a",), ("notes",))),
        (("a", "b"), ("c",), {}, Access(("a", "b"), ("c",))),
        (None, ("row:{table}/{id}",), {"table": "t", "id": 7}, Access((), ("row:t/7",))),
        (("file:{path}",), None, {"path": "a*"}, Access(("file:a*",))),
        (("file:{path}",), None, {}, EVERYTHING),
        (("file:{path}",), None, {"path": None}, EVERYTHING),
        (("file:{path}",), None, {"path": True}, EVERYTHING),
        (("file:{path}",), None, {"path": ["a"]}, EVERYTHING),
        (("file:{path}",), None, {"path": "{other}", "other": "x"}, Access(("file:{other}",))),
        (("file:{path}",), None, {"path": "{path.__class__}"}, Access(("file:{path.__class__}",))),
        (("file:{path.__class__}",), None, {"path": "a"}, Access(("file:{path.__class__}",))),
        (("file:{path}",), None, {"path": "\\1\\g<0>"}, Access(("file:\\1\\g<0>",))),
    ],
)
def test_declared(reads: Any, writes: Any, arguments: dict[str, Any], access: Access):
    """
    Templates are filled with texts and whole numbers, never twice; what cannot be told counts as everything.
    """
    assert access == declared(tool_of(reads, writes), arguments)


def test_nothing_declared():
    """
    A tool that does not even have the attributes touches everything.
    """
    assert EVERYTHING == declared(object(), {"path": "a"})


@pytest.mark.parametrize(
    ("access", "accesses", "found"),
    [
        (NOTHING, set(), []),
        (NOTHING, {("a", False)}, ["reads a"]),
        (Access(("a",)), {("a", False)}, []),
        (Access(("a",)), {("a", True)}, ["writes a"]),
        (Access((), ("a",)), {("a", False), ("a", True)}, []),
        (Access(("a*",)), {("ab", False), ("a*", False), ("ab*", False), ("b", False), ("*", False)},
         ["reads *", "reads b"]),
        (EVERYTHING, {("a", True), ("*", False)}, []),
    ],
)  # fmt: skip
def test_undeclared(access: Access, accesses: set[tuple[str, bool]], found: list[str]):
    """
    The audit names what was touched beyond what is declared; who may write may read.
    """
    assert found == undeclared(access, accesses)


def test_touch_outside():
    """
    Outside of a call, nobody listens.
    """
    touch("a", write=True)

    assert touched.get() is None
