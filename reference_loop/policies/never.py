"""The control: everything stays."""

from __future__ import annotations

from collections.abc import Sequence

from looprig.messages import Message
from reference_loop.errors import ConfigError
from reference_loop.policies.base import Trim


class Never:
    """Never trim."""

    trim: Trim | None = None

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        if trigger is not None or target is not None:
            raise ConfigError("policy 'never' has no trigger and no target; leave them out or choose another policy")

    def on_append(self, messages: Sequence[Message]) -> Trim | None:
        return None

    def on_turn_end(self, messages: Sequence[Message]) -> Trim | None:
        return None

    def promises(self) -> dict[str, int]:
        return {}
