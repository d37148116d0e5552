"""The policies by which a history is trimmed, one a file. A new policy is a new file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from reference_loop.policies.base import HistoryPolicy, Trim, safe_size
from reference_loop.policies.end_of_turn import EndOfTurn
from reference_loop.policies.grouped import Grouped
from reference_loop.policies.incremental import Incremental
from reference_loop.policies.never import Never
from reference_loop.policies.seed import Seed

__all__ = ["POLICIES", "HistoryPolicy", "Trim", "safe_size"]

POLICIES: dict[str, Callable[[int, int | None, int | None], HistoryPolicy]] = {
    "never": Never,
    "end-of-turn": EndOfTurn,
    "incremental": Incremental,
    "seed": Seed,
    "grouped": Grouped,
}
"""By name: what makes a policy from max_history_pairs, trigger and target; None means the policy's own."""
