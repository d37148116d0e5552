"""Environments for frameworks: made from a lock file, with the packages of the frameworks and nothing else.

One package that asks for old versions would age all others, so it gets an environment of its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path

HOME = Path(".looprig/frameworks")

NEWEST = "newest"

LOCKS: Mapping[str, str] = {NEWEST: "frameworks.txt", "camel": "camel.txt"}
"""The environments, and the file that pins what is in each."""

STAMP = "looprig-lock"

TAIL_LINES = 6

# What a framework would do at the network while it is imported, or would tell its makers.
QUIET: Mapping[str, str] = {
    "ANONYMIZED_TELEMETRY": "False",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OTEL_SDK_DISABLED": "true",
    "PYTHONWARNINGS": "ignore",
}


class EnvironmentProblem(Exception):
    """An environment that cannot be made; the text says what failed and what to do."""


def lock(name: str) -> str:
    """Return the lock of the environment called *name*."""
    return (resources.files("looprig.conformance") / LOCKS[name]).read_text(encoding="utf-8")


def python_of(home: Path, name: str) -> Path:
    """Return the interpreter of the environment called *name*."""
    folder = home / name
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def ensure(home: Path, name: str, tell: Callable[[str], None]) -> Path:
    """Return the interpreter of the environment called *name*, which is made or made anew where its lock changed.

    Raises:
        EnvironmentProblem: where that fails.
    """
    wanted = hashlib.sha256(lock(name).encode()).hexdigest()
    stamp = home / name / STAMP
    if stamp.is_file() and stamp.read_text() == wanted and python_of(home, name).exists():
        return python_of(home, name)
    packages = sum(1 for line in lock(name).splitlines() if "==" in line)
    tell(f"making the environment {home / name}: {packages} packages, which takes a minute or two")
    pinned = home / f"{name}.txt"
    pinned.write_text(lock(name), encoding="utf-8")
    for command in _commands(home, name, pinned):
        _done(command)
    stamp.write_text(wanted)
    return python_of(home, name)


def _commands(home: Path, name: str, pinned: Path) -> Sequence[list[str]]:
    """Return what makes an environment and fills it: with uv, which is many times as fast, or with pip."""
    folder, python = str(home / name), str(python_of(home, name))
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv")
    if uv is not None:
        fill = [uv, "pip", "install", "--quiet", "--no-deps", "--python", python, "--requirement", str(pinned)]
        return [uv, "venv", "--quiet", "--python", sys.executable, folder], fill
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps"]
    return [sys.executable, "-m", "venv", folder], [*pip, "--requirement", str(pinned)]


def _done(command: list[str]) -> None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise EnvironmentProblem(f"cannot make an environment for the frameworks: {error}") from error
    if ended.returncode:
        told = (ended.stderr or ended.stdout).strip().splitlines()[-TAIL_LINES:]
        raise EnvironmentProblem(
            f"cannot make an environment for the frameworks; {Path(command[0]).name} says: {' / '.join(told)}. "
            "Mend that, or name another folder with --env DIR"
        )


def variables(own: Path) -> dict[str, str]:
    """Return the environment variables of a process in an environment: no keys, no proxies of the caller's Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, **QUIET, "PYTHONPATH": str(own)}


def main(name: str) -> None:
    """Make the environment called *name* and print its interpreter, for a Makefile."""
    HOME.mkdir(parents=True, exist_ok=True)
    try:
        print(ensure(HOME, name, lambda text: print(text, file=sys.stderr)))
    except EnvironmentProblem as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
