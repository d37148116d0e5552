"""The list of adapters, and what each of them has to have."""

from __future__ import annotations

import ast
import importlib
import tomllib
from pathlib import Path

import pytest

from looprig.adapters import ADAPTERS
from looprig.target import TargetError, find

ROOT = Path(__file__).parents[2]
HERE = ROOT / "looprig" / "adapters"
HELPERS = {"__init__", "chat", "wire"}


def _file(name: str) -> Path:
    module, _, _ = ADAPTERS[name].partition(":")
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def _constants(path: Path) -> dict[str, object]:
    """Return the constants of a module that cannot be imported here."""
    found: dict[str, object] = {}
    for node in ast.parse(path.read_text()).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id in ("FRAMEWORK", "PACKAGES", "EXTRA", "CLOCK"):
            found[target.id] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
    return found


def test_every_file_is_listed():
    """
    Each file of the folder is an adapter in the list, or a helper.
    """
    assert {path.stem for path in HERE.glob("*.py")} - HELPERS == {_file(name).stem for name in ADAPTERS}


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapter_says_what_it_is(name: str):
    """
    An adapter names its framework, the packages whose versions count, and its extra, which is its own name.
    """
    constants = _constants(_file(name))

    assert name == constants["EXTRA"] == constants["FRAMEWORK"]
    assert isinstance(constants["PACKAGES"], tuple)
    assert "real" == constants.get("CLOCK", "real")


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapter_has_its_extra_and_its_test(name: str):
    """
    An adapter can be installed by its name, each of its packages has a lower bound, and a test checks it.
    """
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    tests = [*Path(__file__).parent.rglob(f"test_{_file(name).stem}.py")]

    assert all(">=" in bound for bound in extras[name])
    assert 1 == len(tests)
    assert "check_adapter(" in tests[0].read_text()


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapter_is_small(name: str):
    """
    An adapter has at most 120 lines: it converts, and the framework does the rest.
    """
    assert len(_file(name).read_text().splitlines()) <= 120


def test_readme_names_all():
    """
    The README names every adapter.
    """
    text = (ROOT / "README.md").read_text()

    assert [] == [name for name in ADAPTERS if f"`{name}`" not in text]


def test_short_name():
    """
    An adapter's name stands for its factory, with options behind it.
    """
    target = find("openai-sdk,keep=7")

    assert importlib.import_module("looprig.adapters.openai_sdk").make is target.factory
    assert {"keep": 7} == target.options
    assert "virtual" == target.clock


def test_framework_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    """
    An adapter whose framework is not installed says what to install.
    """
    monkeypatch.setitem(__import__("sys").modules, "pydantic_ai", None)

    with pytest.raises(TargetError, match=r"pip install 'looprig\[pydantic-ai\]'"):
        find("pydantic-ai")


def test_clock_that_a_loop_needs(tmp_path: Path):
    """
    A module that says so gets the real clock for its loops.
    """
    path = tmp_path / "threads.py"
    path.write_text('CLOCK = "real"\ndef make(model, tools): ...\n')

    assert "real" == find(f"{path}:make").clock
