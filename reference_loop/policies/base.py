"""What a policy is, and the sizes that the policies share.

All sizes are numbers of messages; *pairs* is ``max_history_pairs``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from looprig.messages import Message
from reference_loop.errors import ConfigError

Trim = Callable[[Sequence[Message]], list[Message] | None]
"""A pure function from a history to the messages that stay; None where nothing is to be dropped."""


class HistoryPolicy(Protocol):
    """How a history is trimmed.

    To decide whether a trim is due is cheap and happens all the time; the trim itself is
    rare and timed. So the two questions return the trim that is due, for the history to run.
    """

    @property
    def trim(self) -> Trim | None:
        """The trim by itself, trigger included, for whoever wants to judge it; None where nothing is ever dropped."""
        ...

    def on_append(self, messages: Sequence[Message]) -> Trim | None:
        """Return the trim that is due after an append, or None."""
        ...

    def on_turn_end(self, messages: Sequence[Message]) -> Trim | None:
        """Return the trim that is due at the end of a turn, or None."""
        ...

    def promises(self) -> dict[str, int]:
        """Return what the policy promises; a check schedule that is too seldom for it breaks the promise."""
        ...


class Limits(NamedTuple):
    """The length above which a policy trims, and the length it trims to."""

    trigger: int
    target: int

    def override(self, trigger: int | None, target: int | None) -> Limits:
        """Return the limits with what the user set instead of the policy's own.

        Raises:
            ConfigError: where the result would trim to more than it trims at.
        """
        limits = Limits(self.trigger if trigger is None else trigger, self.target if target is None else target)
        if limits.target > limits.trigger:
            raise ConfigError(
                f"target {limits.target} is above trigger {limits.trigger}: "
                "a trim leaves fewer messages than set it off; lower the target or raise the trigger"
            )
        return limits


def safe_size(pairs: int) -> int:
    """Return the length that utilisation is relative to."""
    return 2 * pairs + 5


def turn_end_limits(pairs: int) -> Limits:
    """Return the limits of a trim at the end of a turn: the first message and so many pairs."""
    return Limits(2 * pairs + 1, 2 * pairs + 1)


def incremental_limits(pairs: int) -> Limits:
    """Return the limits of a trim during a turn: from 1.5 safe sizes to the first message and 1.2 times the pairs.

    The trigger is rounded down, which changes nothing: a length is whole.
    """
    return Limits(3 * safe_size(pairs) // 2, 1 + 2 * int(1.2 * pairs))


def first_and_last(messages: Sequence[Message], limits: Limits) -> list[Message] | None:
    """Trim as the seed does: above the trigger, keep the first message and the newest, whatever they are."""
    if len(messages) <= limits.trigger:
        return None
    return [messages[0], *messages[len(messages) - limits.target + 1 :]]
