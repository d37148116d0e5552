"""The seed's benchmark: 1,000 plain messages, and nothing else.

Here to reproduce the headline figure of the report that started the project: 1,000 appends
without a system message (the first message stands for it), tools or delays. Whatever a trim
costs or leaves behind here, it does with the simplest history there is.
"""

from __future__ import annotations

from looprig.scenario import LazyTurns, Scenario

from ._text import Words, at_least


def scenario(seed: int, *, messages: int = 1000) -> Scenario:
    """Return ``messages / 2`` turns of one user message and one answer each."""
    at_least(2, messages=messages)
    if messages % 2:
        raise ValueError(f"messages is an even number, since each turn says two; {messages} is odd")
    turns = LazyTurns(messages // 2, Words(seed).turn)
    return Scenario(name="seed_1000_messages", seed=seed, turns=turns, params={"messages": messages})
