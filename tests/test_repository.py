"""House rules of the repository; each message says what to do instead."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

import looprig
from looprig.adapters import ADAPTERS

ROOT = Path(__file__).parents[1]

ENTRIES = (
    ".ci/run",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "loadtests",
    "looprig/py.typed",
    "pyproject.toml",
    "reference_loop",
    "reports/README.md",
    "requirements.lock",
    "scenarios",
    "tests",
)

# Written so that they do not match their own text.
PATHS_OF_A_MACHINE = re.compile(r"(?<![\w.])/(work|root|home|tmp|opt|Users)/\w")
REGISTRIES = re.compile(r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|npmjs[.]com", re.IGNORECASE)

FUNCTION_LINES_MAX = 60


def tracked() -> list[Path]:
    """Return the files that are in the repository, or would be after ``git add .``."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nobody can say which files are tracked")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def lines_with(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yield the name of the file and ``file:line: text`` for each line of a tracked text file that *pattern* finds."""
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                yield name, f"{name}:{number}: {line.strip()[:100]}"


def listed(found: list[str], remedy: str) -> str:
    """Return the message of a broken rule: every place, none cut off, and what to do."""
    return "\n".join([*found, "", remedy])


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_top_level():
    """
    What a newcomer looks for is there.
    """
    missing = [entry for entry in ENTRIES if not (ROOT / entry).exists()]

    assert not missing, listed(missing, "the README, CI or the wheel needs each of them")


def test_paths_of_a_machine():
    """
    No file tells where somebody's checkout lies: such a path is wrong everywhere else.
    """
    found = [
        line for name, line in lines_with(PATHS_OF_A_MACHINE) if not (name.startswith("tests/") and "/tmp/" in line)
    ]

    assert not found, listed(
        found, "write the path relative to the repository, or take it from Path(__file__) or mktemp"
    )


def test_registries():
    """
    Where packages come from is the business of whoever installs, not of this repository.
    """
    found = [line for _, line in lines_with(REGISTRIES)]

    assert not found, listed(found, "name the package, not the address it was fetched from")


def test_lock_file():
    """
    The lock holds versions and hashes alone, so that it works with every registry, mirror and folder.
    """
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    package, hash_ = r"[\w.-]+==\S+( ; .+)? \\", r"    --hash=sha256:[0-9a-f]{64}( \\)?"
    odd = [line for line in lines if not re.fullmatch(f"{package}|{hash_}", line)]

    assert not odd, listed(odd, "make it with `make lock`")


def test_lock_names_all_dependencies():
    """
    What pyproject.toml asks for is in the lock, but for the agent frameworks and the learner: they are installed apart.
    """
    locked = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}

    forgotten = sorted(dependencies(without={*ADAPTERS, "learn"}) - locked)

    assert not forgotten, listed(forgotten, "make the lock anew with `make lock`")


def test_version():
    """
    The package and its metadata name the same version.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == looprig.__version__, "raise it in pyproject.toml and in looprig/ together"


def test_dependencies_have_a_reason():
    """
    Each dependency is named in ARCHITECTURE.md, where it says what it is good for.
    """
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").lower()
    unnamed = sorted(name for name in dependencies() if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text))

    assert not unnamed, listed(unnamed, "say in ARCHITECTURE.md what it is good for, or do without it")


def dependencies(without: Collection[str] = ()) -> set[str]:
    """Return the names of all dependencies, those of the extras included, but for the extras in *without*."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [
        name for extra, names in project["optional-dependencies"].items() if extra not in without for name in names
    ]
    return {re.split(r"[^\w.-]", name)[0].lower() for name in project["dependencies"] + extras}


def test_content_has_docstrings():
    """
    A reader of scenarios/ and loadtests/ is told by each file what it is there for.
    """
    files = [path for path in python_files("scenarios", "loadtests") if path.read_text(encoding="utf-8").strip()]
    silent = [str(path.relative_to(ROOT)) for path in files if not ast.get_docstring(ast.parse(path.read_text()))]

    assert not silent, listed(silent, "begin the file with a sentence on what it is meant to upset or to measure")


def test_functions_are_short():
    """
    A function fits on one screen.
    """
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {size} lines"
        for path in python_files("looprig", "reference_loop", "scenarios", "loadtests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]

    assert not found, listed(found, f"at most {FUNCTION_LINES_MAX} lines: give its parts names")


def test_makefile_help():
    """
    `make help` knows every target.
    """
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())
    printed = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    shown = set(re.findall(r"^  make ([\w-]+)", printed, re.MULTILINE))

    assert targets == shown, "give the target a comment: `name:  ## What it does`"
