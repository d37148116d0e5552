"""Finding the loop under test by its text form."""

from __future__ import annotations

from pathlib import Path

import pytest

from looprig.target import TargetError, find, part, value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("on", True),
        ("off", False),
        ("none", None),
        ("end-of-turn", "end-of-turn"),
    ],
)
def test_value(text: str, value: object):
    """
    An option's value is a number or a truth value where it looks like one, else the text.
    """
    assert value == value_of(text)
    assert type(value) is type(value_of(text))


def test_reference():
    """
    The short name stands for the reference loop, with options for its factory.
    """
    target = find("reference,policy=seed,max_history_pairs=10")

    assert {"policy": "seed", "max_history_pairs": 10} == target.options
    assert "reference,policy=seed,max_history_pairs=10" == target.spec


def test_file(tmp_path: Path):
    """
    A file is named by its path; its factory may be nested in a class.
    """
    path = tmp_path / "some loops.py"
    path.write_text("class Loops:\n    @staticmethod\n    def make(model, tools, size=1):\n        return size\n")

    assert 7 == find(f"{path}:Loops.make,size=7").make()(None, None)


def test_module_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    A module of the user's that cannot be imported is told apart from one that is not there.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "needs_more.py").write_text("import no_such_library\n")
    (tmp_path / "wrong.py").write_text("1 / 0\n")

    with pytest.raises(TargetError, match="importing needs_more failed: No module named 'no_such_library'"):
        find("needs_more:make")
    with pytest.raises(TargetError, match="importing wrong failed: ZeroDivisionError"):
        find("wrong:make")
    with pytest.raises(TargetError, match=r"there is no module 'absent.part'"):
        find("absent.part:make")


def test_part():
    """
    A piece of the reference loop is fetched by name, and one that is not there is named.
    """
    assert "grouped" in part("policies", "POLICIES")
    with pytest.raises(TargetError, match=r"reference_loop\.policies has no 'NOTHING'"):
        part("policies", "NOTHING")
