"""Starts ``looprig load`` for tests."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.load.started import MARK, Start, Started

ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start ``looprig load`` with these words; whatever is left of it afterwards is killed."""
    made: list[Started] = []

    def run(*words: str, **options: Any) -> Started:
        mark = uuid.uuid4().hex
        environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: mark}
        environment.pop("LOCUST_SKIP_MONKEY_PATCH", None)  # other tests' own
        process = subprocess.Popen(
            [sys.executable, "-m", "looprig", "load", "--out", "out", *words],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        made.append(Started(process, tmp_path, mark))
        return made[-1]

    yield run
    for started in made:
        for process in started.living():
            process.kill()
        started.process.communicate()
