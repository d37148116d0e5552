"""Who may run what: a decision for each category of tools, and somebody to ask."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from looprig.messages import ToolCall
from reference_loop.monitor import Monitor

Decision = Literal["allow", "deny", "ask"]
DECISIONS: tuple[str, ...] = get_args(Decision)

DEFAULT_APPROVAL: Mapping[str, Decision] = MappingProxyType(
    {"read": "allow", "write": "allow", "network": "allow", "destructive": "ask"}
)

Approve = Callable[[str, str, str], bool | Awaitable[bool]]
"""Asked with a call's id, its tool's name and its arguments as JSON text; only True approves."""


class Approval:
    """Decides about calls; *approve* is asked where the decision is ``ask``."""

    def __init__(self, decisions: Mapping[str, Decision], approve: Approve | None, monitor: Monitor) -> None:
        self._decisions = decisions
        self._approve = approve
        self._monitor = monitor

    async def refusal(self, call: ToolCall, category: str) -> str | None:
        """Return why the call may not run, or None if it may."""
        # A category that nobody thought of is no reason to run something unasked.
        decision = self._decisions.get(category, "ask")
        if decision == "allow":
            return None
        if decision == "deny":
            return f"the policy does not allow {category} tools"
        if self._approve is None:
            return f"{category} tools need approval, and there is nobody to ask"
        return await self._ask(self._approve, call)

    async def _ask(self, approve: Approve, call: ToolCall) -> str | None:
        try:
            answer = approve(call.id, call.name, call.arguments)
            if inspect.isawaitable(answer):
                answer = await answer
        except Exception as error:
            self._monitor.error(f"asking for approval of {call.name}", error)
            return "the question for approval failed"
        return None if answer is True else "not approved"
