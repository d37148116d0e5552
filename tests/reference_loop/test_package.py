"""The package as a whole: what it imports, what it exports, and that a turn late costs what a turn early does."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

import reference_loop
from reference_loop import Config, MockModel, ReferenceLoop

LINES_MAX = 1950
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
    The package stays small enough to be read in one sitting: no function of 40 lines, no 1,200 lines altogether.
    """
    functions = [
        (path.name, node.name, (node.end_lineno or 0) - node.lineno + 1)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert [] == [each for each in functions if each[2] >= 40]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES) < LINES_MAX


def test_work_per_turn_does_not_grow():
    """
    A turn late in a conversation looks at no more messages than one early in it.
    """
    from reference_loop.policies import grouped

    looked: list[int] = []
    lay_out = grouped.lay_out

    def counted(messages):
        looked.append(len(messages))
        return lay_out(messages)

    async def talk() -> None:
        loop = ReferenceLoop(MockModel(), {}, Config(max_history_pairs=10))
        for _ in range(2000):
            await loop.send("hello")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped, "lay_out", counted)
        asyncio.run(talk())

    # 4,000 appends, 38 messages at each trim, and 13 appends between two of them.
    assert {38} == set(looked)
    assert len(looked) <= 4000 / 12
