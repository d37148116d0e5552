"""Where a loop under test lives, for what is measured in processes of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """An interpreter, the folder to start it in, and folders that its Python path begins with.

    ``revision`` is the git revision that was checked out there, where one was. ``changes`` are made to the
    environment of each process there: a variable's new value, or None where it has to go.
    """

    python: str
    folder: Path
    path: tuple[Path, ...] = ()
    revision: str | None = None
    changes: tuple[tuple[str, str | None], ...] = ()

    def command(self, module: str, *arguments: str) -> Sequence[str]:
        """Return the words that run a module of looprig here."""
        return [self.python, "-m", module, *arguments]

    def variables(self, hash_seed: int) -> Mapping[str, str]:
        """Return the environment of a process here: the caller's, with the hash seed and the path set, and changed."""
        path = os.pathsep.join(map(str, self.path))
        changed = {**os.environ, "PYTHONHASHSEED": str(hash_seed), **({"PYTHONPATH": path} if path else {})}
        for name, value in self.changes:
            changed.pop(name, None)
            if value is not None:
                changed[name] = value
        return changed


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a comparison: a loop's text form, to be resolved where it lives."""

    home: Home
    spec: str


@dataclass(frozen=True, slots=True)
class Job:
    """One scenario to be judged, packed by `looprig.workload.pack`, and the two sides that play it."""

    scenario_name: str
    packed_scenario: bytes
    before: Party
    after: Party


def here() -> Home:
    """Return the home of what the caller itself would import."""
    return Home(sys.executable, Path.cwd(), tuple(Path(entry) for entry in sys.path if entry and Path(entry).is_dir()))
