"""Exit codes: each kind of bad news has its own, so that a script can tell a broken loop from a broken call."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the process says when it ends; where several apply: VIOLATED before REGRESSED before UNDECIDED."""

    PASSED = 0
    VIOLATED = 1
    """An invariant is broken."""
    USAGE = 2
    """The command, the configuration or the loop's use of looprig is wrong; nothing is said about the loop."""
    REGRESSED = 3
    """A regression, or a limit that is exceeded."""
    UNDECIDED = 4
    """Undecided under --strict, or a load run that is not valid."""
    NOTHING_RAN = 5
    INTERNAL = 70
    """A bug in looprig."""
    INTERRUPTED = 130
