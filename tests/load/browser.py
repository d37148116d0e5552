"""A real browser without a window: Chromium, which opens a page, runs its scripts, and hands back what is shown.

``python -m tests.load.browser FOLDER`` puts pictures of locust's web UI and of a report there, as `make screenshots`
does.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from looprig.load.running import free_port

NAMES = ("chromium", "chromium-browser", "google-chrome")

QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"),
    *("--disable-background-networking", "--disable-sync", "--enable-logging=stderr", "--log-level=1"),
]
"""Nothing but the page is asked for; what the page's scripts complain of is told."""

SETTLES_MS = 8_000
"""So much of its own time a page gets to fetch and draw, which takes a fraction of that of ours."""


class Page(NamedTuple):
    """A page as it is when its scripts have run: its elements, and what they complained of."""

    html: str
    complaints: list[str]


def browser() -> str | None:
    """Return the browser's path, or None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def opened(url: str) -> Page:
    """Open a page."""
    done = _ran(["--dump-dom", url])
    return Page(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])


def pictured(url: str, path: Path, height: int = 700) -> None:
    """Open a page, and make a picture of it."""
    _ran([f"--window-size=1300,{height}", f"--screenshot={path}", url])


def _ran(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    path = browser()
    assert path is not None, "there is no Chromium here: apt-get install chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        start = [path, *QUIET, f"--user-data-dir={profile}", f"--virtual-time-budget={SETTLES_MS}", *words]
        return subprocess.run(start, capture_output=True, text=True, timeout=120, check=True)


def waited_for(path: Path, run: subprocess.Popen[bytes]) -> None:
    """Wait for a file that a run is to write."""
    while not path.is_file():
        assert run.poll() is None, "the run ended before"
        time.sleep(0.1)


def pictures(folder: Path) -> None:
    """Load a loop under locust's web UI, and make pictures of that, in the middle, and of the report."""
    with tempfile.TemporaryDirectory() as work:
        port = str(free_port())
        words = ["--for", "20s", "--rate", "4", "--scenario", "working_day", "--web", "--web-port", port, "--out", work]
        with subprocess.Popen([sys.executable, "-m", "looprig", "load", *words]) as run:
            waited_for(Path(work, "live.json"), run)
            time.sleep(12)
            pictured(f"http://127.0.0.1:{port}/", folder / "locust_web.png", 620)
            waited_for(Path(work, "tally.json"), run)
            run.send_signal(signal.SIGINT)
        pictured(Path(work, "report.html").as_uri(), folder / "load_report.png", 1900)


if __name__ == "__main__":
    pictures(Path(sys.argv[1]))
