"""Carries looprig to where it is not installed: a copy of this very package, for the Python path of a process there."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from looprig import content

NEEDED = ("msgspec",)
"""What a loop is played with needs of other packages; `tests/revisions/test_homes.py` holds that."""


@contextlib.contextmanager
def copy_of_looprig(home: Path) -> Iterator[Path]:
    """Give a folder below *home* that holds this very looprig and nothing else.

    Looprig is not installed there: where it is installed here, other packages lie beside it.
    """
    ignored = shutil.ignore_patterns("__pycache__")
    with tempfile.TemporaryDirectory(prefix="own-", dir=home) as own:
        shutil.copytree(folder_of("looprig"), Path(own) / "looprig", ignore=ignored)
        shipped = Path(own) / "looprig" / "_standard" / "scenarios"
        shutil.copytree(content.standard("scenarios"), shipped, ignore=ignored, dirs_exist_ok=True)
        yield Path(own)


def copy_of_needed(folder: Path) -> None:
    """Copy into *folder* the packages that looprig needs, for an interpreter of the same version as this one."""
    for name in NEEDED:
        shutil.copytree(folder_of(name), folder / name, ignore=shutil.ignore_patterns("__pycache__"))


def folder_of(package: str) -> Path:
    """Return the folder of an installed *package*."""
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"looprig runs, so {package} is there"
    assert spec.origin is not None, "it is no namespace package"
    return Path(spec.origin).parent
