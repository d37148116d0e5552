"""Where and from what a run was made: time, git revision, versions of what was loaded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

GIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Revision:
    """The commit that is checked out, and whether tracked files differ from it; both None outside of git."""

    commit: str | None = None
    dirty: bool | None = None


def revision(folder: Path) -> Revision:
    """Return what is checked out in *folder*; git's index is not touched, and files that it does not track are not
    looked at."""
    command = ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=dirty"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=GIT_S,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return Revision()
    lines = done.stdout.splitlines()
    commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), None)
    if commit is None or not re.fullmatch("[0-9a-f]{40,64}", commit):
        return Revision()  # a repository without a commit
    return Revision(commit, any(not line.startswith("#") for line in lines))


def now() -> str:
    """Return the time in UTC, as text that sorts by time."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    """Return a time in the form that the store keeps times in."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(text: str) -> str:
    """Return the time that lies *text* ago: 90d, 12w.

    Raises:
        ValueError: where it is no such text.
    """
    found = re.fullmatch(r"(\d{1,6})([dw])", text)
    if not found:
        raise ValueError(f"an age is a number of days or weeks, such as 90d or 12w, not {text!r}")
    days = int(found[1]) * (7 if found[2] == "w" else 1)
    try:
        return stamp(datetime.now(UTC) - timedelta(days=days))
    except OverflowError as error:
        raise ValueError(f"{text} ago there was no calendar") from error


def versions() -> dict[str, str]:
    """Return the versions of the packages that this process has loaded, by the names that they are imported by.

    So the frameworks of the loop under test are among them, whichever they are.
    """
    names = {name for name in list(sys.modules) if "." not in name and not name.startswith("_")}
    found = {}
    for name in sorted(names - sys.stdlib_module_names):
        try:
            found[name] = metadata.version(name)
        except (metadata.PackageNotFoundError, ValueError):
            continue
    return found


def command(words: Sequence[str]) -> str:
    """Return a command as text that can be pasted, without the password of an address in it."""
    import shlex

    return re.sub(r"(://[^/@:\s]*):[^@/\s]*@", r"\1:***@", shlex.join(words))
