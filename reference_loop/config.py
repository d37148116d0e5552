"""The options of the reference loop, checked when they are set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from reference_loop.approval import DECISIONS, DEFAULT_APPROVAL, Decision
from reference_loop.errors import ConfigError, did_you_mean
from reference_loop.policies import POLICIES, HistoryPolicy

# The least that each number may be. A cut result must have room for the mark that says it was cut.
_MINIMA = {
    "max_history_pairs": 0,
    "check_every": 1,
    "trigger": 1,
    "target": 1,
    "max_rounds": 1,
    "max_input_chars": 1,
    "max_result_chars": 100,
}
_OPTIONAL = frozenset({"trigger", "target"})
_SWITCHES = ("monitor", "stream")
_LIMITS_S = ("model_timeout_s", "tool_timeout_s")


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a reference loop behaves.

    ``trigger`` and ``target`` are numbers of messages; None means the policy's own.
    A timeout in seconds of None means no limit. ``approval`` says for each category of tools
    whether a call is allowed, denied or asked about; what it leaves out is as by default.

    Raises:
        ConfigError: with what to change.
    """

    policy: str = "grouped"
    max_history_pairs: int = 100
    check_every: int = 1
    trigger: int | None = None
    target: int | None = None
    max_rounds: int = 1000
    model_timeout_s: float | None = 60.0
    tool_timeout_s: float | None = 30.0
    max_input_chars: int = 100_000
    max_result_chars: int = 20_000
    approval: Mapping[str, Decision] = field(default_factory=dict)
    monitor: bool = True
    stream: bool = False

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ConfigError(f"unknown policy {self.policy!r}{did_you_mean(str(self.policy), POLICIES)}")
        for name, least in _MINIMA.items():
            _check_whole(name, getattr(self, name), least)
        for name in _LIMITS_S:
            _check_limit(name, getattr(self, name))
        for name in _SWITCHES:
            _check_switch(name, getattr(self, name))
        _check_approval(self.approval)
        object.__setattr__(self, "approval", MappingProxyType({**DEFAULT_APPROVAL, **self.approval}))
        self.new_policy()  # Refuses a trigger and a target that do not go together.

    def new_policy(self) -> HistoryPolicy:
        """Return a fresh policy, for one history."""
        return POLICIES[self.policy](self.max_history_pairs, self.trigger, self.target)


def _check_whole(name: str, value: Any, least: int) -> None:
    if value is None and name in _OPTIONAL:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} is a whole number of at least {least}; this one is {value!r}")


def _check_limit(name: str, value: Any) -> None:
    # "not >" rather than "<=": nan is above nothing.
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise ConfigError(f"{name} is a number of seconds above 0, or None for no limit; this one is {value!r}")


def _check_switch(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} is True or False; this one is {value!r}")


def _check_approval(approval: Any) -> None:
    if not isinstance(approval, Mapping):
        raise ConfigError(f"approval maps categories of tools to {', '.join(DECISIONS)}; this one is {approval!r}")
    for category, decision in approval.items():
        if decision not in DECISIONS:
            hint = did_you_mean(str(decision), DECISIONS)
            raise ConfigError(f"approval for {category!r} is unknown: {decision!r}{hint}")
