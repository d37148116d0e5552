"""Content is found by path, and what a user can get wrong is told in words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import looprig
from looprig import content
from looprig.content import (
    ContentError,
    Parameter,
    ScenarioFile,
    accepts,
    find_scenario,
    find_scenarios,
    load,
    make_scenario,
    standard,
)

STANDARD = sorted(path.stem for path in standard("scenarios").glob("[!_]*.py"))

OWN = '''"""A day of ours."""

from looprig.scenario import Scenario, Turn, user_text


def scenario(seed: int, *, turns: int = 2, pace: float = 1.0, who: str = "we", loud: bool = False) -> Scenario:
    made = tuple(Turn(say=user_text(0, number, who), answer="ok") for number in range(turns))
    params = {"turns": turns, "pace": pace, "who": who, "loud": loud}
    return Scenario(name="own", seed=seed, turns=made, params=params)


def night(seed: int, hours: int = 8) -> Scenario:
    """The other half.

    Longer in winter.
    """
    return Scenario(name="night", seed=seed, turns=(), params={"hours": hours})
'''

Write = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's project, as the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(project: Path) -> Write:
    """Write a file of the user's project."""

    def write(name: str, text: str = OWN) -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def refusal(*arguments, **keywords) -> str:
    with pytest.raises(ContentError) as caught:
        make_scenario(*arguments, **keywords)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------------------------
# Finding


def test_standard_ones(project: Path):
    """
    Without files of the user's own, the standard scenarios are listed, by the names of their files.
    """
    found = find_scenarios()

    assert sorted(found) == STANDARD
    assert all(file.name == name == file.path.stem for name, file in found.items())


def test_a_file_describes_itself(write: Write):
    """
    Description and parameters are the docstring's first line and the function's own.
    """
    write("scenarios/own.py")
    file = find_scenarios()["own"]

    assert "A day of ours." == file.description
    assert {
        "turns": Parameter(int, 2),
        "pace": Parameter(float, 1.0),
        "who": Parameter(str, "we"),
        "loud": Parameter(bool, False),
    } == file.parameters
    assert "" == file.error


def test_listing_imports_nothing(write: Write, project: Path):
    """
    A scenario file is only run when somebody asks about it.
    """
    write("scenarios/eager.py", "from pathlib import Path\nPath('ran').touch()\n")
    find_scenarios()
    assert not (project / "ran").exists()

    assert find_scenarios()["eager"].error
    assert (project / "ran").exists()


def test_a_users_folder_beside_ours(write: Write):
    """
    The user's own scenarios stand in the list with the standard ones.
    """
    write("scenarios/own.py")
    write("scenarios/_helper.py", "")
    write("scenarios/notes.txt", "")

    assert sorted(find_scenarios()) == sorted([*STANDARD, "own"])


def test_same_name(write: Write):
    """
    A user's file has its name before a standard one of that name, which is listed under its path.
    """
    path = write("scenarios/working_day.py")
    ours = standard("scenarios") / "working_day.py"
    found = find_scenarios()

    assert path == found["working_day"].path
    assert ours == found[str(ours)].path
    assert "own" == make_scenario("working_day", 1).name
    assert "working_day" == make_scenario(str(ours), 1).name


def test_extra_files_and_folders(write: Write):
    """
    Files and folders that are named come before those in ./scenarios.
    """
    first, second = write("more/own.py"), write("scenarios/own.py")
    single = write("elsewhere/single.py")
    found = find_scenarios([first.parent, single])

    assert [first, single, second] == [found[name].path for name in ("own", "single", str(second))]


def test_extra_that_is_missing(project: Path):
    """
    A file or folder that is named must be there.
    """
    with pytest.raises(ContentError, match=r"^there is no file or folder nowhere$"):
        find_scenarios([Path("nowhere")])


def test_one_file_is_listed_once(project: Path, monkeypatch: pytest.MonkeyPatch):
    """
    In a checkout, where ./scenarios are the standard ones, nothing is listed twice.
    """
    (project / "scenarios").symlink_to(standard("scenarios"))

    assert sorted(find_scenarios()) == STANDARD


def test_one_broken_file(write: Write):
    """
    A broken file is listed with its error, and hides no other.
    """
    path = write("scenarios/broken.py", '"""Soon."""\n\nimport nothing_of_this_name\n')
    found = find_scenarios()
    broken = found["broken"]

    assert sorted(found) == sorted([*STANDARD, "broken"])
    assert (
        f"{path} cannot be imported: ModuleNotFoundError: No module named 'nothing_of_this_name' (broken.py, line 3)"
        == broken.error
        == refusal("broken", 1)
    )
    assert ("", {}) == (broken.description, broken.parameters)
    assert not accepts(broken, "turns")
    assert not found["working_day"].error


def test_by_path(write: Write):
    """
    A scenario can be named by its path, relative or absolute, and by a function in it.
    """
    path = write("deep/own.py")

    assert "own" == make_scenario("deep/own.py", 1).name == make_scenario(str(path), 1).name
    assert "night" == make_scenario("deep/own.py::night", 1).name
    night = find_scenario("deep/own.py::night")
    assert ("own::night", "The other half.") == (night.name, night.description)
    assert {"hours": Parameter(int, 8)} == night.parameters


def test_by_name_and_function(write: Write):
    """
    A name may be followed by a function, too.
    """
    write("scenarios/own.py")

    assert "night" == make_scenario("own::night", 1).name


def test_siblings(write: Write):
    """
    Files of one folder import each other; files of the same name in two folders are two files.
    """
    for folder in ("one", "two"):
        write(f"{folder}/_size.py", f"SIZE = {len(folder)}{folder == 'two':d}\n")
        write(f"{folder}/same.py", "from ._size import SIZE\n")

    assert [30, 31] == [load(Path(folder, "same.py")).SIZE for folder in ("one", "two")]


def test_load_twice(write: Write):
    """
    Loading a file again, also by another spelling of its path, gives the same module.
    """
    path = write("here/own.py")

    assert load(path) is load(Path("here/../here/own.py"))


def test_load_a_linked_file(write: Write, project: Path):
    """
    A link under another name is the file it points to.
    """
    (project / "link.py").symlink_to(write("here/own.py"))

    assert "own" == load(project / "link.py").scenario(1).name


# ---------------------------------------------------------------------------------------------------------------------
# Where the standard ones are


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The package looprig alone, as in site-packages."""
    shutil.copytree(
        Path(looprig.__file__).parent,
        tmp_path / "site" / "looprig",
        ignore=shutil.ignore_patterns("_standard", "__pycache__"),
    )
    return tmp_path / "site"


def in_copy(site: Path, code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(site)},
        cwd=site.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_wheel(copied: Path):
    """
    In a wheel the standard scenarios lie inside the package, are found from anywhere, and can be made.
    """
    shutil.copytree(standard("scenarios"), copied / "looprig" / "_standard" / "scenarios")
    (copied / "scenarios").mkdir()  # another wheel's
    code = "from looprig.content import *; print(standard('scenarios'), make_scenario('many_systems', 1).name)"

    assert f"{copied}/looprig/_standard/scenarios many_systems" == in_copy(copied, code)


def test_damaged_wheel(copied: Path):
    """
    A wheel without them says so, and does not take another wheel's folder for its own.
    """
    (copied / "scenarios").mkdir()
    code = "from looprig.content import *\ntry: standard('scenarios')\nexcept ContentError as error: print(error)"

    assert (
        f"no standard scenarios: neither {copied}/looprig/_standard/scenarios nor a checkout's scenarios/ exists; "
        "reinstall looprig"
    ) == in_copy(copied, code)


def test_checkout(copied: Path):
    """
    In a checkout the standard ones are the folder beside the package.
    """
    (copied / "scenarios").mkdir()
    (copied / "pyproject.toml").touch()

    assert str(copied / "scenarios") == in_copy(copied, "from looprig.content import *; print(standard('scenarios'))")


# ---------------------------------------------------------------------------------------------------------------------
# Settings


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("turns", "5", 5),
        ("turns", "1_000", 1000),
        ("pace", "0.5", 0.5),
        ("pace", "2", 2.0),
        ("who", "", ""),
        ("who", "7", "7"),
        ("loud", "true", True),
        ("loud", "Yes", True),
        ("loud", "on", True),
        ("loud", "1", True),
        ("loud", "false", False),
        ("loud", "no", False),
        ("loud", "OFF", False),
        ("loud", "0", False),
    ],
)
def test_settings(name: str, text: str, value: object, write: Write):
    """
    A setting is text, and becomes a value of its default's type.
    """
    made = make_scenario(str(write("own.py")), 1, {name: text}).params[name]

    assert (type(value), value) == (type(made), made)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("turns", "many", "turns of scenario own takes a whole number; 'many' is not one"),
        ("turns", "2.5", "turns of scenario own takes a whole number; '2.5' is not one"),
        ("turns", "", "turns of scenario own takes a whole number; '' is not one"),
        ("pace", "fast", "pace of scenario own takes a number; 'fast' is not one"),
        ("pace", "nan", "pace of scenario own takes a number; 'nan' is not one"),
        ("pace", "inf", "pace of scenario own takes a number; 'inf' is not one"),
        ("loud", "very", "loud of scenario own takes true or false; 'very' is not one"),
        (
            "turn",
            "3",
            "scenario own has no parameter 'turn'; did you mean turns? There are: loud, pace, turns, who.",
        ),
        ("size", "3", "scenario own has no parameter 'size'. There are: loud, pace, turns, who."),
        ("seed", "3", "scenario own has no parameter 'seed'. There are: loud, pace, turns, who."),
    ],
)
def test_settings_refused(name: str, text: str, message: str, write: Write):
    """
    A setting that does not fit is refused with what would.
    """
    assert message == refusal(str(write("own.py")), 1, {name: text})


def test_no_parameters(write: Write):
    """
    Where nothing can be set, the message does not end in an empty list.
    """
    path = write("own.py", "def scenario(seed): ...\n")

    assert "scenario own has no parameter 'size'; it has none." == refusal(str(path), 1, {"size": "1"})


def test_accepts(project: Path):
    """
    A setting for several scenarios means those that have the parameter.
    """
    found = find_scenarios()

    assert ["long_conversation", "pending_calls", "seed_1000_messages"] == sorted(
        name for name, file in found.items() if accepts(file, "messages")
    )


# ---------------------------------------------------------------------------------------------------------------------
# What goes wrong


def test_unknown_name(project: Path):
    """
    An unknown name is answered with those that come near, and all.
    """
    everything = ", ".join(STANDARD)

    assert (
        f"there is no scenario 'long_conversatoin'; did you mean long_conversation? There are: {everything}."
        == refusal("long_conversatoin", 1)
    )
    assert f"there is no scenario 'xyz'. There are: {everything}." == refusal("xyz", 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.py", "there is no scenario file gone.py"),
        ("deep/gone", "there is no scenario file deep/gone"),
        ("gone.py::night", "there is no scenario file gone.py"),
        ("deep/", "deep/ is a folder; name one of its files, as in deep/my_scenario.py"),
    ],
)
def test_unknown_path(name: str, message: str, project: Path):
    """
    A path to nothing is told apart from an unknown name.
    """
    (project / "deep").mkdir()

    assert message == refusal(name, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1\nx = nope\n", "cannot be imported: NameError: name 'nope' is not defined (bad.py, line 2)"),
        ("def scenario(:\n", "cannot be imported: SyntaxError: invalid syntax (bad.py, line 1)"),
        ("import sys\n\nsys.exit(3)\n", "cannot be imported: SystemExit: 3 (bad.py, line 3)"),
        ("raise RuntimeError\n", "cannot be imported: RuntimeError (bad.py, line 1)"),
        ("from ._worse import x\n", "cannot be imported: ZeroDivisionError: division by zero (_worse.py, line 2)"),
        ("import json\njson.loads('{')\n", "(bad.py, line 2)"),
        ("", "has no function scenario(seed, ...)"),
        ("scenario = 3\n", "has no function scenario(seed, ...)"),
    ],
)
def test_broken_files(text: str, reason: str, write: Write):
    """
    A file that cannot be used is refused with the reason, and its line where there is one.
    """
    write("_worse.py", "\nx = 1 / 0\n")
    path = write("bad.py", text)

    message = refusal(str(path), 1)
    assert message.startswith(f"{path} ")
    assert message.endswith(reason)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ("", "takes the seed first, as in: def scenario(seed: int, *, turns: int = 20)"),
        ("*, seed", "takes the seed first, as in: def scenario(seed: int, *, turns: int = 20)"),
        ("seed, turns", "must give turns a default of type int, float, str or bool"),
        ("seed, turns=None", "must give turns a default of type int, float, str or bool"),
        ("seed, turns=()", "must give turns a default of type int, float, str or bool"),
    ],
)
def test_odd_functions(parameters: str, complaint: str, write: Write):
    """
    A function that looprig could not call is refused before it is called.
    """
    path = write("bad.py", f"def scenario({parameters}): ...\n")

    assert f"{path}: scenario() {complaint}" == refusal(str(path), 1)


def test_no_such_function(write: Write):
    """
    A function that the file does not have is named.
    """
    path = write("own.py")

    assert f"{path} has no function evening(seed, ...)" == refusal(f"{path}::evening", 1)


def test_generator_raises(write: Write):
    """
    A generator's own complaint is passed on, with the settings that led to it and the line.
    """
    path = write("bad.py", "def scenario(seed, size=1):\n    raise ValueError('size is at least 1')\n")

    message = refusal(str(path), 1, {"size": "0"})
    assert "scenario bad size=0: ValueError: size is at least 1 (bad.py, line 2)" == message


def test_generator_returns_something_else(write: Write):
    """
    What is no scenario is not played.
    """
    path = write("bad.py", "def scenario(seed):\n    return [1]\n")

    message = refusal(str(path), 1)
    assert "scenario bad returned a value of type list; it must return a looprig.scenario.Scenario" == message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.py", "there is no file {path}"),
        ("a.b.py", "{path} cannot be imported: its name must be one word and .py"),
        ("notes.txt", "{path} cannot be imported: its name must be one word and .py"),
    ],
)
def test_load_refuses(name: str, message: str, write: Write, project: Path):
    """
    Only a Python file with a plain name can be loaded.
    """
    if name != "gone.py":
        write(name)

    with pytest.raises(ContentError) as caught:
        load(project / name)
    assert message.format(path=project / name) == str(caught.value)


def test_a_mended_file(write: Write):
    """
    A file that failed is read again when it is asked for again.
    """
    path = write("own.py", "x = nope\n")
    assert ScenarioFile("own", path).error

    path.write_text(OWN)
    assert not ScenarioFile("own", path).error


def test_public_names():
    """
    All that other modules use is listed.
    """
    assert {name for name in content.__all__ if hasattr(content, name)} == set(content.__all__)
