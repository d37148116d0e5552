"""The arrows in ARCHITECTURE.md are the imports in the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_VALUES = {"messages", "scenario", "toolbox", "tokens"}
_SEEN = _VALUES | {"loop", "trace", "ledger", "observe"}
_PLAYED = _SEEN | {"clock", "script", "retained", "providers", "invariants", "metrics", "version"}
_ASSEMBLED = _PLAYED | {"subject", "runner", "content", "adapters", "target", "suite", "progress", "verdicts"}
_SHOWN = _ASSEMBLED | {
    "compare",
    "paired",
    "gate",
    "store",
    "trends",
    "load",
    "prediction",
    "trimmers",
    "conformance",
    "server",
    "serving",
    "service",
    "phase3",
    "report",
    "replay",
    "exits",
}
_COUNTING = {"counted", "instructions", "growth"}
_SHOWN |= {"home", "workload", "counted", "instructions", "growth"}

LAYERS: dict[str, set[str]] = {
    "version": set(),
    "exits": set(),
    "messages": set(),
    "tokens": {"messages"},
    "scenario": {"messages"},
    "toolbox": set(),
    "retained": set(),
    "clock": set(),
    "progress": set(),
    "verdicts": set(),
    "trends": set(),
    "home": set(),
    "loop": {"messages"},
    "trace": {"messages", "scenario", "loop"},
    "ledger": {"messages", "trace"},
    "script": {"messages", "scenario", "loop", "clock", "toolbox", "trace", "ledger"},
    "observe": {"messages", "scenario", "loop", "tokens", "trace", "ledger"},
    "settled": _SEEN,
    "providers": {"messages", "tokens"},
    "adapters": {"messages", "loop", "providers"},
    "invariants": _SEEN | {"providers"},
    "metrics": _SEEN,
    "subject": {"messages", "loop", "providers"},
    "runner": _PLAYED | {"subject"},
    "workload": _VALUES | {"loop", "clock", "script", "subject"},
    "content": {"scenario"},
    "carry": {"content"},
    "target": {"content", "adapters"},
    "suite": _PLAYED | {"runner", "content", "target"},
    "compare": _ASSEMBLED,
    "counted": _ASSEMBLED | {"home", "workload"},
    "instructions": _ASSEMBLED | {"home", "workload", "counted"},
    "growth": _ASSEMBLED | {"home", "workload", "counted", "instructions"},
    "paired": _ASSEMBLED | {"home", "workload"},
    "layers": {"counted", "instructions", "paired", "progress", "verdicts", "home"},
    "store": _ASSEMBLED | {"compare"},
    "trimmers": _ASSEMBLED | {"providers"},
    "conformance": _ASSEMBLED | {"trimmers", "carry"},
    "revisions": _ASSEMBLED | {"compare", "workload", "home", "carry", "paired"},
    "benchmarks": {"exits", "scenario", "subject", "workload", "progress", "verdicts", "home", "paired", "revisions"},
    "serving": set(),
    "server": _PLAYED | {"toolbox", "content", "serving"},
    "service": _PLAYED | {"toolbox", "content", "subject", "runner", "settled", "serving"},
    "load": {"content", "exits", "scenario", "version"},
    "prediction": _ASSEMBLED,
    "phase3": _ASSEMBLED | {"compare"},
    "gate": _ASSEMBLED | {"compare", "home", "exits", "load", "paired", "revisions", "store", "workload"} | _COUNTING,
    "report": _ASSEMBLED
    | {
        "growth",
        "compare",
        "load",
        "prediction",
        "trimmers",
        "conformance",
        "server",
        "service",
        "phase3",
        "store",
        "trends",
        "gate",
        "exits",
    },
    "replay": _ASSEMBLED | {"report"},
    "testing": _ASSEMBLED | {"report"},
    "pytest_plugin": _SHOWN | {"testing"},
    "cli": _SHOWN | {"benchmarks", "layers", "revisions", "home"},
    "__main__": {"cli"},
    "__init__": {"version"},
}
"""Each room of looprig, from bottom to top, with the rooms that it may import.

A room is a module, or a folder with all its files; a room may always import itself.
``__init__`` lists the public names for users, so no room imports it.
"""

STRANGERS = ("reference_loop", "scenarios", "loadtests", "reports", "tests")
"""What looprig never imports: the loop under test, content, output, tests."""

CONTENT = ("scenarios", "loadtests", "reports")
"""What nobody imports by name: a user of the harness has folders of these very names."""

CODE = ("looprig", "reference_loop", "scenarios", "loadtests", "tests")


def breaches(root: Path) -> list[str]:
    """Return one sentence for each import below *root* that goes against the picture, and for each unknown module."""
    found = [
        f"{path.relative_to(root)}:{line}: {problem}"
        for folder in CODE
        for path in sorted((root / folder).rglob("*.py"))
        for line, problem in _problems(path, root)
    ]
    return list(dict.fromkeys(found))  # one import of three names is one breach


def _problems(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    folder = path.relative_to(root).parts[0]
    if folder == "looprig" and _room(path, root) not in LAYERS:
        yield 1, f"the module {_room(path, root)} is in no layer: add it to the table and to ARCHITECTURE.md"
        return
    for line, name, relative in _imports(path, root):
        top = name.split(".")[0]
        if top in CONTENT and not relative:
            yield line, f"imports {name}: content is found by its path, load it with looprig.content"
        elif folder == "looprig" and top in STRANGERS:
            yield line, f"imports {name}: the harness knows neither the loop under test nor content"
        elif folder == "looprig" and top == "looprig":
            yield from ((line, problem) for problem in _too_high(_room(path, root), _target(name, root)))
        elif folder == "reference_loop" and top == "looprig" and _target(name, root) != "messages":
            yield line, f"imports {name}: the reference loop shares only looprig.messages with the harness"


def _too_high(room: str, target: str) -> Iterator[str]:
    if target != room and target not in LAYERS[room]:
        yield f"{room} imports {target}: move the shared part down, or the caller up"


def _room(path: Path, root: Path) -> str:
    return path.relative_to(root / "looprig").with_suffix("").parts[0]


def _target(name: str, root: Path) -> str:
    """Return the room that the dotted *name* lies in; a name that is no module comes from looprig/__init__.py."""
    part = [*name.split("."), "__init__"][1]
    return part if (root / "looprig" / part).is_dir() or (root / "looprig" / f"{part}.py").exists() else "__init__"


def _imports(path: Path, root: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield line, full dotted name, and whether it was written relatively, of each import in the file."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}", node.level > 0) for alias in node.names)


def test_imports_follow_the_picture():
    """
    No module of the repository imports upwards, sideways out of its layer, or content by name.
    """
    found = breaches(ROOT)

    assert not found, "\n".join(found)


def test_table_is_written_bottom_to_top():
    """
    A layer may only name layers above it in the table, so the picture has no circles.
    """
    seen: set[str] = set()
    for room, allowed in LAYERS.items():
        assert allowed <= seen, f"{room} names {allowed - seen}, which stands below it in the table"
        seen.add(room)


def test_table_names_only_what_exists():
    """
    A layer that is gone from the code is gone from the table.
    """
    there = {_room(path, ROOT) for path in (ROOT / "looprig").rglob("*.py")}
    gone = [room for room in LAYERS if room not in there]

    assert not gone, f"no module {', '.join(gone)}: take it out of the table and out of ARCHITECTURE.md"


@pytest.mark.parametrize(
    ("file", "source", "said"),
    [
        ("looprig/trace.py", "from looprig.runner import run", "trace imports runner: move the shared part down"),
        ("looprig/trace.py", "from .runner import run", "trace imports runner"),
        ("looprig/trace.py", "from . import runner", "trace imports runner"),
        ("looprig/trace.py", "from looprig.runner import run, Session", "trace imports runner"),
        ("looprig/trace.py", "import looprig.runner", "trace imports runner"),
        ("looprig/trace.py", "def late():\n    from looprig import runner", "trace.py:2: trace imports runner"),
        ("looprig/trace.py", "from looprig import __version__", "trace imports __init__"),
        ("looprig/invariants/pairing.py", "from ..runner import run", "invariants imports runner"),
        ("looprig/surprise.py", "", "surprise is in no layer: add it to the table and to ARCHITECTURE.md"),
        ("looprig/cli.py", "from reference_loop import make_loop", "knows neither the loop under test"),
        ("looprig/cli.py", "import tests.test_layers", "knows neither the loop under test"),
        ("reference_loop/loop.py", "from looprig.scenario import Scenario", "shares only looprig.messages"),
        ("tests/test_x.py", "from scenarios.long_chat import long_chat", "content is found by its path"),
        ("loadtests/x.py", "import scenarios", "content is found by its path"),
    ],
)
def test_planted_breach_is_found(tmp_path: Path, file: str, source: str, said: str):
    """
    Whatever way an import is written, one that goes against the picture is named with its file and its remedy.
    """
    _plant(tmp_path, "looprig/runner.py", "")
    _plant(tmp_path, file, source)

    (breach,) = breaches(tmp_path)

    assert breach.startswith(file)
    assert said in breach


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("looprig/runner.py", "import json\nfrom looprig.trace import Trace\nfrom . import trace"),
        ("looprig/invariants/pairing.py", "from looprig.invariants.base import Check\nfrom .base import Check"),
        ("reference_loop/loop.py", "from looprig.messages import Message\nfrom reference_loop.history import History"),
        ("scenarios/long_chat.py", "from ._words import words\nfrom looprig.scenario import Scenario"),
    ],
)
def test_innocent_import_is_not_named(tmp_path: Path, file: str, source: str):
    """
    Imports that follow the picture, and files of one content folder that import each other, are no breach.
    """
    for module in ("trace", "messages", "scenario", "invariants/base"):
        _plant(tmp_path, f"looprig/{module}.py", "")
    _plant(tmp_path, file, source)

    assert breaches(tmp_path) == []


def _plant(root: Path, file: str, source: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(source)
