"""Keeps one command, and ends it with all that it started when whoever asked for it is gone, for whatever reason.

``python keeper.py COMMAND ...`` runs the command in a session of its own. Its standard input is a pipe that nobody
writes to: that it is closed says that the other end has died, also by SIGKILL, and then nothing may go on. A signal to
end is passed on to the command. It imports nothing of looprig, for it is a process more in every load run.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

GRACE_S = 2.0
"""Seconds between asking a group to end and killing it."""


def main() -> int:
    """Keep the command; return its exit code, 128 + N where signal N ended it."""
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    # Set before the command starts: a signal must not find us unprepared. A handler that does nothing, so that the
    # command gets its own default and not "ignored", which would be inherited.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda _number, _frame: None)
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        while child.poll() is None:
            ready, _, _ = select.select([0, wake], [], [], 1.0)
            for came in os.read(wake, 64) if wake in ready else b"":
                if came in (signal.SIGTERM, signal.SIGINT) and child.poll() is None:
                    child.send_signal(came)
            if 0 in ready and not os.read(0, 64):
                break
    finally:
        end(child)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def end(child: subprocess.Popen[bytes]) -> None:
    """End the child and its group; those who do not go when asked are killed."""
    if child.poll() is None:
        _signal(child.pid, signal.SIGTERM)
        until = time.monotonic() + GRACE_S
        while child.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
    # Also where the child has ended: what it started may not have.
    _signal(child.pid, signal.SIGKILL)
    child.wait()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main())
