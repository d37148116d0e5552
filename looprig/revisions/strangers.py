"""Finds what was imported from the user's own work tree, where a revision should have been imported from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def strangers(files: Iterable[str], users: Path, prefixes: Iterable[str]) -> list[str]:
    """Return those of *files* that lie below *users*, but for those of an interpreter at one of *prefixes*."""
    environments = [Path(prefix).resolve() for prefix in prefixes]
    found = {Path(file).resolve() for file in files}
    return sorted(
        str(file.relative_to(users))
        for file in found
        if file.is_relative_to(users) and not any(file.is_relative_to(each) for each in environments)
    )


def refusal(name: str, stranger: str) -> str:
    """Return what is said of one of them, in the revision called *name*."""
    return (
        f"{name} imported {stranger} of your own work tree, and not of the revision; "
        "install the revision with --setup, as in --setup 'pip install .'"
    )
