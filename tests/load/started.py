"""A ``looprig load`` that runs in a folder of its own, and what becomes of it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import psutil

from looprig.load.summary import schema

MARK = "LOOPRIG_TEST_MARK"


@dataclass
class Started:
    """A ``looprig load`` that runs, in a folder of its own; every process that it starts carries its mark."""

    process: subprocess.Popen[str]
    folder: Path
    mark: str

    def end(self, timeout_s: float = 120) -> tuple[int, str, str]:
        """Wait for the end; return exit code, output, errors."""
        out, errors = self.process.communicate(timeout=timeout_s)
        assert "Traceback" not in errors, errors
        return self.process.returncode, out, errors

    @property
    def summary(self) -> dict[str, Any]:
        """The summary, which keeps its schema."""
        found: dict[str, Any] = json.loads((self.folder / "out" / "summary.json").read_text())
        jsonschema.validate(found, schema())
        return found

    def living(self) -> list[psutil.Process]:
        """The processes that this run has started and that live."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def of(self, word: str) -> list[psutil.Process]:
        """Those of them that run *word* themselves, and not through a keeper."""
        return [
            each for each in self.living() if word in each.cmdline() and "keeper.py" not in " ".join(each.cmdline())
        ]

    def nothing_left(self) -> bool:
        """Say whether all have ended, some seconds later."""
        return until(lambda: not self.living(), 20)

    def under_way(self) -> bool:
        """Say whether turns have been recorded, some seconds later."""
        return until(lambda: b'"finished"' in self._live() or self.process.poll() is not None, 90)

    def _live(self) -> bytes:
        path = self.folder / "out" / "live.json"
        return path.read_bytes() if path.is_file() else b""


def until(holds: Callable[[], bool], timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


Start = Callable[..., Started]
