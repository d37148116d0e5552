"""Makes homes of two revisions, for as long as a block lasts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from looprig.carry import copy_of_looprig
from looprig.home import Home
from looprig.revisions import environment
from looprig.revisions.checkout import checked_out, room, submodules
from looprig.revisions.git import WORKTREE, Repository, Revision, RevisionProblem

SIDES = ("old", "new")
"""The folders of the two sides: names of equal length."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The homes of both sides: what they are called, and what a reader of the results has to know of them.

    What a home imports comes from below ``base``, where there was no setup command, and never from ``users``, the
    user's own work tree.
    """

    before: Home
    after: Home
    names: tuple[str, str]
    base: Path
    users: Path
    is_set_up: bool = False
    notes: Sequence[str] = ()


@contextlib.contextmanager
def homes(
    repository: Repository, words: tuple[str, str], setup: str | None, tell: Callable[[str], None]
) -> Iterator[Pair]:
    """Give the homes of the two revisions that *words* name; *tell* is told what takes long.

    With *setup* each has a fresh environment, in which that command ran, at the user's place in the revision's folder.
    Without, both use the caller's interpreter, and the revision's folder and its ``src`` come first on the path.

    Raises:
        RevisionProblem: where a revision is not there, cannot be checked out, or cannot be set up.
    """
    revisions = [repository.revision(each) for each in words]
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(room(repository))
        own = stack.enter_context(copy_of_looprig(base))
        made, notes = [], _notes(repository, revisions)
        for revision, side in zip(revisions, SIDES, strict=True):
            folder = stack.enter_context(checked_out(repository, revision, base / side))
            if submodules(folder):
                notes.append(f"{revision.name} has submodules, which are not checked out; a --setup command can do it")
            made.append(_home(repository, revision, folder, own, setup, tell))
        _compile(made, own)
        names = (revisions[0].name, revisions[1].name)
        yield Pair(made[0], made[1], names, base, repository.top, setup is not None, notes)


def _compile(made: Sequence[Home], own: Path) -> None:
    """Write the byte-code of looprig's copy: the process that would do it first would count other instructions."""
    for home in {home.python: home for home in made}.values():
        command = home.command("compileall", "-q", str(own))
        subprocess.run(command, cwd=home.folder, env=dict(home.variables(0)), capture_output=True, check=False)


def _home(
    repository: Repository, revision: Revision, folder: Path, own: Path, setup: str | None, tell: Callable[[str], None]
) -> Home:
    start = folder / repository.prefix
    if not start.is_dir():
        raise RevisionProblem(
            f"{revision.name} has no folder {repository.prefix}, in which you stand; run looprig from {repository.top}"
        )
    commit, path = revision.commit or WORKTREE, _path(repository, folder)
    if setup is None:
        path = list(dict.fromkeys([own, *path, *_callers_path(repository, folder)]))
        return Home(sys.executable, start, tuple(path), commit, environment.SAME_FOR_ALL)
    tell(f"setting up {revision.name}: {setup}")
    python, changes = environment.make(folder.parent / f"{folder.name}-env", path)
    environment.run_setup(setup, start, changes, revision.name)
    return Home(python, start, (own,), commit, environment.SAME_FOR_ALL + changes)


def _path(repository: Repository, folder: Path) -> list[Path]:
    """Return where a revision's modules lie: where the user stands, the top, and the ``src`` of both."""
    start = folder / repository.prefix
    known = dict.fromkeys((start, start / "src", folder, folder / "src"))
    return [path for path in known if path.is_dir()]


def _callers_path(repository: Repository, folder: Path) -> list[Path]:
    """Return the caller's PYTHONPATH; what of it lies in the user's tree is taken from the revision's."""
    entries = [Path(entry).resolve() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    top = repository.top.resolve()
    return [folder / entry.relative_to(top) if entry.is_relative_to(top) else entry for entry in entries]


def _notes(repository: Repository, revisions: Sequence[Revision]) -> list[str]:
    notes = []
    commits = [revision.commit for revision in revisions]
    if commits[0] == commits[1]:
        notes.append("both sides are the same revision")
    if None not in commits and repository.head() in commits and repository.dirty():
        notes.append("your changes that are in no commit are not compared; --rev WORKTREE stands for them")
    return notes
