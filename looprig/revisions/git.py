"""What is asked of git, and in what words it is told what git cannot do.

No command here writes to the user's work tree, index, HEAD, stash or configuration, and no hook runs. A work tree
that is added is known to the repository until it is removed; that is all.
"""

from __future__ import annotations

import difflib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

WORKTREE = "WORKTREE"
"""Stands for the files as they are now; ``.`` is short for it."""

_SETTINGS = (
    "-c",
    f"core.hooksPath={os.devnull}",  # or `git worktree add` runs post-checkout
    "-c",
    "worktree.useRelativePaths=false",  # or it writes an extension into the user's configuration
    "-c",
    "advice.detachedHead=false",
)

LOCAL = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)
"""What git sets for its hooks: here it would lead from one work tree into another."""

TAIL_LINES = 3


class RevisionProblem(Exception):
    """A revision that cannot be had, or not be run; the text says what, why and what to do."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What is compared: the words that the user wrote, and the commit; None for the files as they are now."""

    words: str
    commit: str | None

    @property
    def name(self) -> str:
        """The words with the commit, as far as one is not the other."""
        if self.commit is None:
            return WORKTREE
        return self.commit[:12] if self.commit.startswith(self.words) else f"{self.words} ({self.commit[:12]})"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository with its work tree; ``prefix`` is the folder below ``top`` in which the user stands."""

    top: Path
    prefix: Path

    def git(self, *words: str, folder: Path | None = None) -> str:
        """Return what a git command prints, without the last line break.

        Raises:
            RevisionProblem: in git's own words, where it fails.
        """
        return _git(folder or self.top, *words)

    def revision(self, words: str) -> Revision:
        """Return the revision that *words* name.

        Raises:
            RevisionProblem: where there is none such, with what was perhaps meant.
        """
        if words in (WORKTREE, "."):
            return Revision(WORKTREE, None)
        try:
            commit = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{words}^{{commit}}")
        except RevisionProblem as error:
            raise RevisionProblem(f"there is no revision {words!r} in this repository; {self._hint(words)}") from error
        return Revision(words, commit)

    def _hint(self, words: str) -> str:
        known = self.git("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes", "refs/tags")
        names = [WORKTREE, "HEAD", *known.splitlines()]
        ends = [name for name in names if name.endswith(f"/{words}")]
        relative = set(words) & set("~^@")  # HEAD~9 is near to HEAD in letters alone
        close = ends[:1] or ([] if relative else difflib.get_close_matches(words, names, 1))
        if close:
            return f"did you mean {close[0]}?"
        if self.git("rev-parse", "--is-shallow-repository") == "true":
            return (
                "the clone is shallow, so that most commits are missing: fetch them with `git fetch --unshallow` "
                "(in GitHub's checkout action: fetch-depth: 0)"
            )
        return "name a branch, a tag or a commit, or WORKTREE for your files as they are now"

    def dirty(self) -> bool:
        """Whether files have changes that are in no commit."""
        return bool(self.git("status", "--porcelain"))

    def head(self) -> str | None:
        """Return the commit of HEAD; None where there is no commit yet."""
        try:
            return self.git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        except RevisionProblem:
            return None

    def files(self) -> list[Path]:
        """Return the files of the work tree that git keeps or would keep, below ``top``; some may be gone."""
        listed = self.git("ls-files", "--cached", "--others", "--exclude-standard", "-z")
        return [Path(name) for name in dict.fromkeys(listed.split("\0")) if name]


def repository(folder: Path) -> Repository:
    """Return the repository whose work tree *folder* belongs to.

    Raises:
        RevisionProblem: where there is none, or no git.
    """
    top = Path(_git(folder, "rev-parse", "--show-toplevel"))
    return Repository(top, folder.resolve().relative_to(top.resolve()))


def without_local() -> dict[str, str]:
    """Return the environment without what leads git to another work tree than the one it stands in."""
    return {name: value for name, value in os.environ.items() if name not in LOCAL}


def _git(folder: Path, *words: str) -> str:
    # Without optional locks `git status` does not write the index.
    environment = {**without_local(), "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", *_SETTINGS, *words]
    try:
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, errors="surrogateescape", check=False
        )
    except FileNotFoundError as error:
        raise RevisionProblem("there is no git on the PATH: install it, or compare two loops without --rev") from error
    if ended.returncode:
        told = [line for line in ended.stderr.strip().splitlines() if line][-TAIL_LINES:]
        if "not a git repository" in ended.stderr:
            raise RevisionProblem(f"{folder} is in no git repository: run it in your project's folder")
        raise RevisionProblem(f"git {words[0]} failed: {' / '.join(told) or f'exit {ended.returncode}'}")
    return ended.stdout.removesuffix("\n")
