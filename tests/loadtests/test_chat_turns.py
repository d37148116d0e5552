"""The load test runs, and means something."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).parents[2] / "loadtests" / "chat_turns.py"


def test_chat_turns(tmp_path: Path):
    """
    A short run exits with 0, counts turns by their kind, and none of them failed.
    """
    # A process of its own: locust patches the one it runs in with gevent.
    options = ["--headless", "--users", "2", "--spawn-rate", "2", "--run-time", "2s", "--only-summary", "--json"]
    command = [sys.executable, "-m", "locust", "-f", str(FILE), *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    # Kinds are drawn by lot: on a slow machine two seconds may be too short for the rarest.
    assert set() < {row["name"] for row in rows} <= {"small talk", "tool call", "long text"}
    assert all(row["num_requests"] > 0 for row in rows)
    assert not any(row["num_failures"] for row in rows)
