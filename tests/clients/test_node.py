"""Any loop in any language: a loop around the npm client of OpenAI, run by `looprig serve model -- node client.mjs`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).with_name("client.mjs")
PACKAGE = "openai@6"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the client and what it imports."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        pytest.skip("there is no node here")
    made = tmp_path_factory.mktemp("node")
    shutil.copy(CLIENT, made)
    told = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", PACKAGE],
        cwd=made,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if told.returncode:
        pytest.skip(f"npm cannot install {PACKAGE} here: {told.stderr[-200:]}")
    return made


def _served(folder: Path, keep: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "looprig", "serve", "model", "--scenario", "parallel_tools"]
    kept = {} if keep is None else {"KEEP": str(keep)}
    return subprocess.run(
        [*command, "--", "node", "client.mjs"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "NO_COLOR": "1", **kept},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_loop_that_keeps_all(folder: Path):
    """
    A loop that sends its whole history passes; what it prints is printed.
    """
    told = _served(folder)

    assert 0 == told.returncode, told.stdout + told.stderr
    assert 3 == sum(line.startswith("[#s") for line in told.stdout.splitlines())
    assert "PASSED" in told.stdout.splitlines()[-1]


def test_loop_that_cuts(folder: Path):
    """
    A loop that keeps the newest messages alone is refused as the provider would, and the verdict says so.
    """
    told = _served(folder, keep=2)

    assert 1 == told.returncode, told.stdout + told.stderr
    assert "C1" in told.stdout
    assert "messages with role 'tool' must be a response" in told.stdout
    assert "FAILED" in told.stdout
