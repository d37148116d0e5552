"""The options of the reference loop, checked when they are set."""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from reference_loop.approval import DEFAULT_APPROVAL, Decision
from reference_loop.errors import ConfigError, did_you_mean
from reference_loop.policies import POLICIES
from reference_loop.policies.base import Policy

Whole = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class Config(Struct, frozen=True, kw_only=True):
    """How a reference loop behaves. Raises ConfigError with what to change.

    ``trigger`` and ``target`` are numbers of messages; None means the policy's own. A timeout of None means no
    limit. Tools run in ``parallel`` where they do not conflict, at most ``max_parallel`` at a time; ``on_failure`` says
    what becomes of calls that depend on one that failed.
    ``approval`` says for each category of tools whether a call is allowed, denied or asked about, or one
    word for all; what it leaves out is as in `DEFAULT_APPROVAL`. ``system`` is the first system message, and
    ``journal`` the file of the session; empty means none.
    """

    policy: str = "grouped"
    max_history_pairs: Annotated[int, Meta(ge=0)] = 100
    check_every: Whole = 1
    trigger: Whole | None = None
    target: Whole | None = None
    max_rounds: Whole = 1000
    model_timeout_s: Seconds | None = 60.0
    tool_timeout_s: Seconds | None = 30.0
    parallel: bool = True
    max_parallel: Whole = 8
    on_failure: Literal["skip", "run"] = "skip"
    max_input_chars: Whole = 100_000
    max_result_chars: Annotated[int, Meta(ge=100)] = 20_000  # room for the mark that says it was cut
    approval: Decision | dict[str, Decision] = {}
    retriever: Literal["none", "mock"] = "none"
    system: str = ""
    journal: str = ""
    monitor: bool = True
    stream: bool = False

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ConfigError(f"unknown policy {self.policy!r}{did_you_mean(self.policy, POLICIES)}")
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            try:
                msgspec.convert(value, field.type)
            except msgspec.ValidationError as error:
                hint = did_you_mean(value, dict.fromkeys(re.findall(r"'(\w+)'", str(field.type))))
                raise ConfigError(f"{field.name}={value!r} makes no sense: {error}{hint}") from None
        self.new_policy()  # Refuses a trigger and a target that do not go together.

    def new_policy(self) -> Policy:
        """Return a fresh policy, for one history."""
        return POLICIES[self.policy](self.max_history_pairs, self.trigger, self.target)

    def decisions(self) -> dict[str, Decision]:
        """Return what is decided about each category of tools."""
        given = self.approval if isinstance(self.approval, dict) else dict.fromkeys(DEFAULT_APPROVAL, self.approval)
        return {**DEFAULT_APPROVAL, **given}
