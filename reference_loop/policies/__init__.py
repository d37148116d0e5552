"""The policies by which a history is trimmed. A new policy is a new file and a line here."""

from collections.abc import Callable

from reference_loop.policies.base import EndOfTurn, Incremental, Never, Policy, Seed
from reference_loop.policies.grouped import Grouped
from reference_loop.policies.masking import Masking
from reference_loop.policies.summarising import Summarising

POLICIES: dict[str, Callable[[int, int | None, int | None], Policy]] = {
    "never": Never, "end-of-turn": EndOfTurn, "incremental": Incremental, "seed": Seed,
    "grouped": Grouped, "masking": Masking, "summarising": Summarising,
}  # fmt: skip
"""By name: what makes a policy from max_history_pairs, trigger and target; None means the policy's own."""
