"""The code that the seed report prints, with its arithmetic and in its order, so that it can be measured.

What the report does not print is not here: where its monitor is called from, and how a tool is approved and run.
Its ``trim_history`` keeps the first message and the newest ones.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

log = logging.getLogger(__name__)

Call = tuple[str, object]
"""A tool's name and its arguments."""


class Listing:
    """The six methods of the report; *handle* runs a tool."""

    def __init__(
        self, pairs: int, handle: Callable[[str, object], Any] = lambda name, arguments: {"success": True}
    ) -> None:
        self.pairs = pairs
        self.history: list[object] = []
        self.handle = handle

    def should_trim(self) -> bool:
        """Report 3.1: whether the history is above 150 % of its safe size."""
        max_safe_size = self.pairs * 2 + 5
        return len(self.history) > max_safe_size * 1.5

    def trim(self) -> bool:
        """Report 3.1: trim to 120 % of the pairs if that is due."""
        if not self.should_trim():
            return False
        kept = 2 * int(self.pairs * 1.2)
        self.history = [self.history[0], *self.history[len(self.history) - kept :]]
        return True

    def monitor(self, operation: str, started_s: float) -> None:
        """Report 3.2: log how long an operation took, at the level that its length deserves."""
        elapsed = time.time() - started_s
        if elapsed > 5.0:
            log.warning(f"Slow operation: {operation} took {elapsed:.2f}s")
        elif elapsed > 1.0:
            log.info(f"Operation timing: {operation} took {elapsed:.2f}s")
        else:
            log.debug(f"Fast operation: {operation} took {elapsed:.2f}s")

    def statistics(self) -> dict[str, float]:
        """Report 3.2: the four figures."""
        return {
            "conversation_length": len(self.history),
            "max_history_pairs": self.pairs,
            "memory_utilization": len(self.history) / (self.pairs * 2 + 5),
            "timestamp": time.time(),
        }

    def execute(self, call: Call) -> Any:
        """Report 3.3: run one tool, log how it went, and trim if that is due."""
        name, arguments = call
        log.info(f"Executing tool: {name}")
        result = self.handle(name, arguments)
        if result.get("success"):
            log.info(f"Tool {name} completed successfully")
        else:
            log.warning(f"Tool {name} failed: {result.get('error', 'Unknown error')}")
        if self.trim():
            log.debug(f"Memory trimmed after {name} execution")
        return result

    def execute_all(self, calls: Sequence[Call]) -> list[Any]:
        """Report 3.4: the framework for parallel execution, "for now" one call after the other."""
        return [self.execute(call) for call in calls]
