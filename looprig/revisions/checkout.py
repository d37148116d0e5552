"""Puts the files of a revision into a folder of their own, and takes every trace of it away again.

The folders lie outside the user's work tree, and the paths of both sides are of equal length: a path's length is
part of what a process costs. A run that was killed cannot clean up; the next one does that for it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from looprig.revisions.git import Repository, Revision, RevisionProblem

PREFIX = "looprig-revisions-"

_OWNER = "owner"
"""A file in the folder, locked for as long as the run lives."""

try:
    import fcntl
except ImportError:  # not on Windows: there a killed run's folder stays until somebody removes it
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def room(repository: Repository) -> Iterator[Path]:
    """Give a new empty folder outside the user's tree, which goes when the block ends, whatever ends it."""
    sweep(repository)
    base = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    try:
        with (base / _OWNER).open("w") as owner:
            if fcntl is not None:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)


@contextlib.contextmanager
def checked_out(repository: Repository, revision: Revision, folder: Path) -> Iterator[Path]:
    """Give *folder* with the files of *revision*: a work tree of its commit, or a copy of the files as they are.

    Raises:
        RevisionProblem: where git cannot check it out, or a file cannot be copied.
    """
    if revision.commit is None:
        _copy(repository, folder)
        yield folder
        return
    try:
        repository.git("worktree", "add", "--detach", "--quiet", str(folder), revision.commit)
        yield folder
    finally:
        _remove(repository, folder)


def _remove(repository: Repository, folder: Path) -> None:
    """Remove one work tree and what the repository knows of it; those of the user are not looked at."""
    with contextlib.suppress(RevisionProblem):  # it was never added, or is gone
        repository.git("worktree", "remove", "--force", "--force", str(folder))


def _copy(repository: Repository, folder: Path) -> None:
    """Copy what git keeps or would keep. Used in place, the files would change under the measurement and get byte-code
    and build products beside them."""
    folder.mkdir()
    for name in repository.files():
        source, copy = repository.top / name, folder / name
        if not source.is_symlink() and not source.is_file():
            continue  # deleted and not yet committed, or a submodule
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(source, copy, follow_symlinks=False)
        except OSError as error:
            raise RevisionProblem(f"cannot copy {name} of your work tree: {error.strerror or error}") from error


def sweep(repository: Repository) -> None:
    """Remove the work trees of runs that were killed."""
    for line in repository.git("worktree", "list", "--porcelain").splitlines():
        kind, _, path = line.partition(" ")
        base = Path(path).parent
        if kind == "worktree" and base.name.startswith(PREFIX) and not _owned(base):
            _remove(repository, Path(path))
            shutil.rmtree(base, ignore_errors=True)


def _owned(base: Path) -> bool:
    """Whether the run that made the folder *base* still lives."""
    if not base.exists():
        return False
    if fcntl is None:
        return True
    try:
        with (base / _OWNER).open("r+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return os.path.lexists(base / _OWNER)
    return False


def submodules(folder: Path) -> bool:
    """Whether the files in *folder* have submodules, which git does not check out with them."""
    return (folder / ".gitmodules").is_file()
