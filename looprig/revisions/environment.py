"""The Python environment of a revision: made by a setup command of the user's, or the caller's own.

An environment is not kept for the next run. What a setup command builds depends on files that nobody lists, and an
editable install points at a folder that is gone; pip and uv keep what is slow to get.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from looprig.carry import copy_of_needed
from looprig.revisions.git import LOCAL, RevisionProblem

TAIL_LINES = 8

WITH_PIP = True
"""Whether an environment has pip, which takes most of the time of making it; some tests do without."""

Changes = tuple[tuple[str, str | None], ...]

SAME_FOR_ALL: Changes = (
    ("PYTHONSAFEPATH", "1"),  # or the folder that a process starts in would come before looprig's copy
    ("PYTHONHOME", None),
    ("PYTHONDONTWRITEBYTECODE", None),  # byte-code is compiled before anything is timed
    ("PYTHONPYCACHEPREFIX", None),  # it belongs into the revision's folder, and goes with it
    *((name, None) for name in LOCAL),
)
"""What is changed in the environment of every process of a revision."""


def make(folder: Path, behind: Sequence[Path]) -> tuple[str, Changes]:
    """Make a fresh environment in *folder*; return its interpreter, and what has to be changed to be in it.

    The folders *behind* come last on its path: of what is installed and lies there too, the installed one counts,
    which may have been built.

    Raises:
        RevisionProblem: where that fails.
    """
    try:
        venv.EnvBuilder(with_pip=WITH_PIP, symlinks=os.name != "nt").create(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RevisionProblem(
            f"cannot make an environment for the revision: {error}; on Debian the package python3-venv is needed"
        ) from error
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    path = os.pathsep.join([str(scripts), os.environ.get("PATH", os.defpath)])
    _last_on_the_path(folder, behind)
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    return str(python), (("VIRTUAL_ENV", str(folder)), ("PATH", path))


def _last_on_the_path(folder: Path, behind: Sequence[Path]) -> None:
    """Add the folders *behind*, and what looprig needs: a package that is installed goes before one of its name."""
    needed = folder / "looprig-needs"
    needed.mkdir()
    copy_of_needed(needed)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    lines = "".join(f"{path}\n" for path in (*behind, needed))
    (site / "zzz-looprig.pth").write_text(lines, encoding="utf-8")


def run_setup(command: str, folder: Path, changes: Changes, name: str) -> None:
    """Run the user's setup *command* in *folder*, with the environment that *changes* tell of.

    Raises:
        RevisionProblem: with the last lines of what it printed, where it fails.
    """
    environment = {key: value for key, value in os.environ.items() if key not in (*LOCAL, "PYTHONHOME", "PYTHONPATH")}
    environment.update({key: value for key, value in changes if value is not None})
    with tempfile.TemporaryFile() as output:
        ended = subprocess.run(  # noqa: S602 - the line is the user's own, as a line of a Makefile is
            command,
            shell=True,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if ended.returncode:
            output.seek(0)
            told = output.read().decode(errors="replace").strip().splitlines()
            raise RevisionProblem(_failed(command, name, ended.returncode, told[-TAIL_LINES:]))


def _failed(command: str, name: str, code: int, told: Sequence[str]) -> str:
    lines = " / ".join(told) or "nothing"
    return f"the setup command {command!r} ended with {code} in {name}; it said: {lines}"
