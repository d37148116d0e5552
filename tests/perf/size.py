"""Counts the lines of the reference loop: how much there is to read."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

from tests.perf.targets import Section, Target, section, table

PACKAGE = Path(__file__).parents[2] / "reference_loop"
LINES_MAX = 1200
FUNCTION_LINES_MAX = 40

_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def code_lines(source: str) -> int:
    """Count lines of code as line counters do: not those that are blank, or nothing but a comment or a docstring."""
    texts = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    tokens = (each for each in tokenize.generate_tokens(io.StringIO(source).readline) if each.type not in _NO_CODE)
    return len({line for each in tokens for line in range(each.start[0], each.end[0] + 1)} - texts)


def function_lines(source: str) -> dict[str, int]:
    """Return how many lines each function has, signature and docstring included."""
    return {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def sources() -> dict[str, str]:
    """Return the package's files by name."""
    return {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


def measure() -> Section:
    """Count lines: of the longest function, of the package, and by file."""
    files = sources()
    code = {name: code_lines(source) for name, source in files.items()}
    functions = {f"{name}: {each}": size for name in files for each, size in function_lines(files[name]).items()}
    longest = max(functions, key=functions.__getitem__)
    total, whole = sum(code.values()), sum(len(source.splitlines()) for source in files.values())
    targets = [
        Target(f"lines of the longest function ({longest})", f"{functions[longest]}", f"below {FUNCTION_LINES_MAX}",
               functions[longest] < FUNCTION_LINES_MAX),
        Target("lines of code of the package", f"{total:,}", f"below {LINES_MAX:,}", total < LINES_MAX),
        Target("all its lines: blank ones, comments and docstrings too", f"{whole:,}", f"below {LINES_MAX:,}",
               whole < LINES_MAX),
    ]  # fmt: skip
    rows = [[name, code[name], len(files[name].splitlines())] for name in files]
    tables = [table(["file", "code", "all lines"], rows)]
    return Section("Small enough to read", ".venv/bin/python -m tests.perf.size", targets, tables)


if __name__ == "__main__":
    print(section(measure()))
