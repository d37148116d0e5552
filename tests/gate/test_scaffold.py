"""`looprig init`: what it writes works at once, and nothing is ever overwritten."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from looprig.gate import scaffold
from looprig.gate.config import ConfigError, load
from looprig.target import find

FILES = ["pyproject.toml", "looprig_loop.py", "tests/test_looprig.py", ".github/workflows/looprig.yml"]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # Plugins of our own development environment are not those of a user's.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=environment)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_works_at_once(tmp_path: Path):
    """
    In an empty folder init, gate and pytest pass one after the other, and a second init changes nothing.
    """
    said = run(tmp_path, "looprig", "init")
    there = content_of(tmp_path)
    gate, tests = run(tmp_path, "looprig", "gate"), run(tmp_path, "pytest", "-q", "-p", "no:cacheprovider")
    again = run(tmp_path, "looprig", "init")

    assert (0, 0, 0, 0) == (said.returncode, gate.returncode, tests.returncode, again.returncode), tests.stdout
    assert set(FILES) == set(there)
    assert "PASSED" in gate.stdout
    assert "1 passed" in tests.stdout
    assert 4 == again.stdout.count("already there, left as it is")
    assert there == {name: text for name, text in content_of(tmp_path).items() if name in there}


def test_dry_run(tmp_path: Path):
    """
    A dry run says what would be written, and writes nothing.
    """
    said = run(tmp_path, "looprig", "init", "--dry-run").stdout

    assert 4 == said.count("would be created")
    assert not content_of(tmp_path)


@pytest.mark.parametrize("name", FILES[1:])
def test_what_is_there_stays(tmp_path: Path, name: str):
    """
    A file of one of these names stays to the byte, and the others are written all the same.
    """
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"\xff mine \r\n")

    written = scaffold.init(tmp_path)

    assert {name} == {one.path.as_posix() for one in written if one.what == "kept"}
    assert content_of(tmp_path)[name] == b"\xff mine \r\n"
    assert set(FILES) == set(content_of(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a remark",
        '[project]\nname = "app"\n',
        '[project]\r\nname = "app"\r\n',
        "[tool.ruff]\nline-length = 100",
        "[tool]\n",
        '[[tool.mypy.overrides]]\nmodule = "x"\n',
    ],
)
def test_table_is_added(tmp_path: Path, text: str):
    """
    A pyproject.toml without the table gets it at the end; what stood before stays to the byte, line ends and all.
    """
    path = tmp_path / "pyproject.toml"
    path.write_bytes(text.encode())
    path.chmod(0o640)

    written = scaffold.init(tmp_path)

    after = path.read_bytes().decode()
    assert after.startswith(text)
    assert "added" == written[0].what
    assert tomllib.loads(after)["tool"]["looprig"]["loop"] == scaffold.STAND_IN
    assert load(path).loop == scaffold.STAND_IN
    assert ("\r\n" in text) == ("\r\n" in after)
    assert 0o640 == stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("text", ['[tool.looprig]\nloop = "app:x"\n', "tool.looprig.loop = 'x'", "[tool]\nlooprig = 1"])
def test_table_that_is_there(tmp_path: Path, text: str):
    """
    A table that is there stays as it is, however it is written.
    """
    (tmp_path / "pyproject.toml").write_text(text)

    assert "kept" == scaffold.init(tmp_path)[0].what
    assert (tmp_path / "pyproject.toml").read_text() == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tool = {}", r"its \[tool\] is not open to tables"),
        ("tool = 3", "is not open"),
        ("[[", "is no TOML"),
        ("\xff", "is no TOML"),
    ],
)
def test_table_that_cannot_be_added(tmp_path: Path, text: str, said: str):
    """
    Where the table cannot be added, that is said before anything is written.
    """
    (tmp_path / "pyproject.toml").write_bytes(text.encode("latin-1"))
    before = content_of(tmp_path)

    with pytest.raises(ConfigError, match=said):
        scaffold.init(tmp_path)

    assert before == content_of(tmp_path)


def test_link(tmp_path: Path):
    """
    A pyproject.toml that is a link stays one; a dangling link is somebody's, and stays.
    """
    real = tmp_path / "real.toml"
    real.write_text("[project]\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "pyproject.toml").symlink_to(real)
    (tmp_path / "app" / "looprig_loop.py").symlink_to(tmp_path / "nowhere.py")

    scaffold.init(tmp_path / "app")

    assert (tmp_path / "app" / "pyproject.toml").is_symlink()
    assert "[tool.looprig]" in real.read_text()
    assert not (tmp_path / "nowhere.py").exists()


def test_own_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    With a loop that is there no adapter is written, and configuration and test name that loop.
    """
    monkeypatch.chdir(tmp_path)
    spec = 'reference,note="x"'

    written = scaffold.init(tmp_path, spec)

    assert "looprig_loop.py" not in {one.path.as_posix() for one in written}
    assert load(tmp_path / "pyproject.toml").loop == spec
    assert repr(spec).strip("'") in (tmp_path / "tests/test_looprig.py").read_text().replace('\\"', '"')


@given(spec=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_form(tmp_path_factory: pytest.TempPathFactory, spec: str):
    """
    Whatever a loop's text form holds, it arrives in the configuration as it is.
    """
    folder = tmp_path_factory.mktemp("any")

    scaffold.init(folder, spec)

    assert load(folder / "pyproject.toml").loop == spec


def test_workflow(tmp_path: Path):
    """
    The CI file is YAML with the events and steps that GitHub asks for, and installs a project that can be installed.
    """
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'app'\n")
    scaffold.init(tmp_path)

    workflow = yaml.safe_load((tmp_path / ".github/workflows/looprig.yml").read_text())

    assert {"pull_request", "push"} == set(workflow[True])  # YAML 1.1 reads the key "on" as true
    steps = workflow["jobs"]["gate"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    runs = [step["run"] for step in steps if "run" in step]
    assert "python -m pip install looprig -e ." in runs
    assert any(line.startswith("looprig gate ") for line in runs)


def test_stand_in_is_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    The adapter is one file without dependencies, whose factory looprig finds.
    """
    scaffold.init(tmp_path)

    assert callable(find(f"{tmp_path / 'looprig_loop.py'}:make_loop").factory)
