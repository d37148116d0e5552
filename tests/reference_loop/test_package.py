"""The package as a whole: what it imports, what it exports, and that a turn late costs what a turn early does."""

from __future__ import annotations

import ast
import asyncio
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import reference_loop
from reference_loop import Config, MockModel, ReferenceLoop
from tests.perf import size

FILES = sorted(Path(reference_loop.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_imports(path: Path):
    """
    Of the harness, the reference loop knows nothing but the messages.
    """
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    imported = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    foreign = {name for name in imported if name.split(".")[0] == "looprig"} - {"looprig.messages"}

    assert not foreign, f"{path.name} imports {foreign}: only looprig.messages is shared"


def test_size():
    """
    The functions stay short and the code below its limit; with docstrings it is above that, and may not grow.
    """
    function, code, lines = size.measure().targets

    assert function.holds, function
    assert code.holds, code
    assert int(lines.measured.replace(",", "")) <= 1750


def test_lines_of_code():
    """
    Code counts, and nothing else does.
    """
    source = '"""A docstring\n\nof three lines."""\n\n# why\nx = """a\nb"""  # what\n'
    source += '\n\ndef f():\n    "Says."\n    return x\n'

    assert 4 == size.code_lines(source)
    assert {"f": 3} == size.function_lines(source)


@pytest.mark.parametrize("policy", ["grouped", "end-of-turn"])
def test_work_per_turn_does_not_grow(policy: str):
    """
    Turns late in a conversation take as many calls of functions as those early in it, trims included.
    """
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    async def talk() -> list[int]:
        loop = ReferenceLoop(MockModel(), {}, Config(max_history_pairs=10, policy=policy))
        counts = []
        for number in range(1821):
            if number % 130 == 0:  # 260 appends, after which every policy has trimmed equally often
                counts.append(calls)
            await loop.send("hello")
        return counts

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        counts = asyncio.run(talk())
    finally:
        sys.setprofile(before)

    spans = [later - earlier for earlier, later in pairwise(counts[1:])]
    early, late = sum(spans[:6]), sum(spans[-6:])
    # Every second span the monitor merges its times, with some more or fewer calls as the times fall: hence sums.
    assert late <= 1.02 * early, spans
