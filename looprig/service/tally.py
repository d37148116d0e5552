"""What a service has done so far, in numbers."""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from pathlib import Path

_STATM = Path("/proc/self/statm")


class Tally:
    """Counts turns and sessions by what became of them; times are seconds."""

    def __init__(self) -> None:
        self.turns: Counter[str] = Counter(dict.fromkeys(("started", "finished", "failed", "cancelled", "refused"), 0))
        self.sessions: Counter[str] = Counter(dict.fromkeys(("opened", "closed", "refused", "mixed", "expired"), 0))
        self.faults: Counter[str] = Counter()
        self.tokens_out = 0
        self.requests = 0
        self.turn_s = 0.0
        self.tool_s = 0.0
        self.trim_pause_s = 0.0
        self.misuse: str | None = None
        """What a loop did first that looprig cannot serve or judge: its run is no verdict."""


def cpu_s() -> float:
    """Return the CPU seconds of this process."""
    return time.process_time()


def rss_bytes() -> int:
    """Return the memory that this process has in use; where the system does not tell, the most that it ever had."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
