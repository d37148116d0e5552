"""Who may run what: a decision for each category of tools, and somebody to ask."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple

from looprig.messages import ToolCall
from reference_loop.monitor import Monitor

Decision = Literal["allow", "deny", "ask"]
DEFAULT_APPROVAL: Mapping[str, Decision] = {"read": "allow", "write": "allow", "network": "allow", "destructive": "ask"}

Approve = Callable[[str, str, str], bool | Awaitable[bool]]
"""Asked with a call's id, its tool's name and its arguments as JSON text; only True approves."""


class Approval(NamedTuple):
    """Decides about calls; *approve* is asked where the decision is ``ask``, as it is for an unknown category."""

    decisions: Mapping[str, Decision]
    approve: Approve | None
    monitor: Monitor

    def allows(self, tool: Any) -> bool:
        """Say whether calls of *tool* may run just so; of all others, `refusal` tells."""
        return self.decisions.get(getattr(tool, "category", "destructive")) == "allow"

    async def refusal(self, call: ToolCall, tool: Any) -> str | None:
        """Return why a call that is not allowed just so may not run, or None if it may."""
        category = getattr(tool, "category", "destructive")
        if self.decisions.get(category) == "deny":
            return f"the policy does not allow {category} tools"
        if self.approve is None:
            return f"{category} tools need approval, and there is nobody to ask"
        with self.monitor.span("approval_wait", call.name) as span:
            try:
                answer = self.approve(call.id, call.name, call.arguments)
                answer = await answer if inspect.isawaitable(answer) else answer
            except Exception as error:
                span.fail(type(error).__qualname__)
                self.monitor.error(f"asking for approval of {call.name}", error)
                return "the question for approval failed"
        return None if answer is True else "not approved"
