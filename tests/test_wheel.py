"""The wheel, alone: what is in it, what it takes no name for, and what it finds without a checkout.

It is built from the source distribution, as it will be for those who install from one:
so a file that the source distribution lacks is missed here.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]

GENERIC = ("scenarios", "loadtests", "reports", "tests")
"""Names that a user's own project may have."""


def run(command: Sequence[str | Path], cwd: Path) -> str:
    """Run *command* and return what it printed; a failure shows both of its streams."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("build")
    hatch = [sys.executable, "-m", "hatchling", "build", "--directory", str(work)]
    run([*hatch, "--target", "sdist"], cwd=ROOT)
    (archive,) = work.glob("looprig-*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(work, filter="data")
    run([*hatch, "--target", "wheel"], cwd=work / archive.name.removesuffix(".tar.gz"))
    (built,) = work.glob("looprig-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel, and nothing else, is installed into."""
    target = tmp_path_factory.mktemp("installed")
    # An environment that uv made has no pip.
    installer = [sys.executable, "-m", "pip"] if find_spec("pip") else ["uv", "pip"]
    run([*installer, "install", "--quiet", "--no-deps", "--target", target, wheel], cwd=target.parent)
    return target


def python(code: str, *arguments: str, package: Path, cwd: Path) -> str:
    """Run *code* where looprig comes from *package*, and its dependencies from this environment.

    Without ``site`` (-S), because an editable install puts the checkout on the path there.
    """
    path = [str(package), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {path}; {code}", *arguments], cwd=cwd)


def scenario_names(package: Path, cwd: Path) -> list[str]:
    """Return the first word of each line that ``looprig list`` prints."""
    lines = python("from looprig.cli import main; main()", "list", package=package, cwd=cwd).splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def test_content_of_the_wheel(wheel: Path):
    """
    The wheel has the two packages and the standard content inside looprig, and takes no other name.
    """
    names = ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    shipped = {name.removeprefix("looprig/_standard/") for name in names if name.startswith("looprig/_standard/")}
    content = {
        path.relative_to(ROOT).as_posix() for kind in ("scenarios", "loadtests") for path in (ROOT / kind).rglob("*.py")
    }

    assert {"looprig", "reference_loop", next(top for top in tops if top.endswith(".dist-info"))} == tops
    assert content == {name for name in shipped if name.endswith(".py")}
    assert "looprig/py.typed" in names
    assert not [name for name in names if "__pycache__" in name]


def test_check_wheel_contents(wheel: Path):
    """
    An independent checker of wheels has nothing to say.
    """
    run([sys.executable, "-m", "check_wheel_contents", "--config", ROOT / "pyproject.toml", wheel], cwd=wheel.parent)


def test_import_from_the_wheel(installed: Path, tmp_path: Path):
    """
    Where only the wheel is installed, looprig comes from it, with the reference loop beside it.
    """
    code = "import looprig, reference_loop; print(looprig.__file__); print(reference_loop.__file__)"
    files = python(code, package=installed, cwd=tmp_path).split()

    assert [str(installed / name / "__init__.py") for name in ("looprig", "reference_loop")] == files


def test_generic_names_stay_free(installed: Path, tmp_path: Path):
    """
    The wheel lets nobody import `scenarios` or `tests`: a user's project has folders of these names.
    """
    code = f"from importlib.util import find_spec; print([n for n in {GENERIC} if find_spec(n)])"

    assert "[]\n" == python(code, package=installed, cwd=tmp_path)


def test_standard_scenarios_from_the_wheel(installed: Path, tmp_path: Path):
    """
    The wheel lists the same scenarios as the checkout.
    """
    names = scenario_names(installed, cwd=tmp_path)

    assert names
    assert scenario_names(ROOT, cwd=tmp_path) == names


def test_own_scenarios_folder_hides_nothing(installed: Path, tmp_path: Path):
    """
    A user's own folder `scenarios`, even an importable one, does not hide the standard scenarios.
    """
    alone = scenario_names(installed, cwd=tmp_path)
    (tmp_path / "scenarios").mkdir()
    for name in ("__init__.py", "mine.py"):
        (tmp_path / "scenarios" / name).write_text('"""Of the user\'s own project."""\n')

    assert set(alone) <= set(scenario_names(installed, cwd=tmp_path))
