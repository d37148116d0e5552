"""Finds what was imported from the user's own work tree, where a revision should have been imported from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

INSTALLED = {"site-packages", "dist-packages"}
"""Folders of packages; an environment may well lie in the user's work tree."""


def strangers(files: Iterable[str], users: Path, spared: Iterable[Path]) -> list[str]:
    """Return those of *files* that lie below *users*, but for those below a *spared* folder and installed packages."""
    apart = [folder.resolve() for folder in spared]
    found = {Path(file).resolve() for file in files}
    return sorted(
        str(file.relative_to(users))
        for file in found
        if file.is_relative_to(users)
        and not INSTALLED & set(file.parts)
        and not any(file.is_relative_to(folder) for folder in apart)
    )


def refusal(name: str, stranger: str) -> str:
    """Return what is said of one of them, in the revision called *name*."""
    return (
        f"{name} imported {stranger} of your own work tree, and not of the revision; "
        "install the revision with --setup, as in --setup 'pip install .'"
    )
