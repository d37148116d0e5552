"""The strict model as a running server, and a command against it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from looprig.server.app import App
from looprig.serving import running
from looprig.serving.running import CannotServe, serving, until_stopped

Running = running.Running[App]

KEY = "looprig-no-real-key"

__all__ = [
    "DROPPED",
    "KEY",
    "CannotServe",
    "Running",
    "environment",
    "run_command",
    "serving",
    "until_stopped",
    "variables",
]


def variables(url: str) -> dict[str, str]:
    """Return the environment that points the official clients, and many others, to the server at *url*.

    The keys are no real ones, and stand in for those that may be set: a key of the user's is never sent.
    """
    return {
        "LOOPRIG_URL": url,
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",
        "OPENAI_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": KEY,
        "GOOGLE_GEMINI_BASE_URL": url,
        "GEMINI_API_KEY": KEY,
    }


DROPPED = ("ANTHROPIC_AUTH_TOKEN", "GOOGLE_API_KEY", "OPENAI_ADMIN_KEY")
"""Variables with keys that a client would send beside or in place of those."""

PAST_PROXIES = "127.0.0.1,localhost"
"""What no client shall ask a proxy for."""


def environment(url: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return *given* as a command gets it: pointed to the server, past any proxy."""
    made = {name: value for name, value in given.items() if name not in DROPPED}
    made |= variables(url)
    for name in ("NO_PROXY", "no_proxy"):
        made[name] = ",".join(filter(None, (given.get(name, ""), PAST_PROXIES)))
    return made


def run_command(command: Sequence[str], running: Running) -> int:
    """Run *command* against the server, passing signals on; return its exit code (128 + N where signal N ended it).

    Raises:
        CannotServe: where it cannot be started.
    """
    try:
        child = subprocess.Popen(list(command), env=environment(running.url, os.environ))
    except (OSError, ValueError) as error:
        raise CannotServe(
            f"cannot run {command[0]}: {error}; what stands behind -- is a command with arguments"
        ) from error
    with _passed_on(child):
        code = child.wait()
    return 128 - code if code < 0 else code


@contextlib.contextmanager
def _passed_on(child: subprocess.Popen[Any]) -> Iterator[None]:
    """Pass signals on to *child*; a terminal sends its interrupt to both by itself."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGINT or not sys.stdin.isatty():
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
