"""One conversation that goes on and on: does the cost of a message stay the same?

Finds work that grows with the age of the conversation: a trim that copies or rescans the
whole history, a memory that only grows, a system prompt that is lost after the hundredth
trim. Turns are computed when they are looked at, so a million messages take no memory.

With T turns and a tool call in every ``tool_every``-th, the system message, T user messages,
T answers and two messages for each call are said: ``1 + 2 T + 2 (T // tool_every)``.
T is the largest for which this is at most ``messages``; at most three messages are missing.
``tool_every=0`` leaves the tools out.
"""

from __future__ import annotations

from looprig.scenario import LazyTurns, Round, Scenario, Turn

from ._text import Words, at_least, opening


def scenario(seed: int, *, messages: int = 1000, tool_every: int = 10) -> Scenario:
    """Return as many turns as *messages* has room for, each ``tool_every``-th with one tool call."""
    at_least(3, messages=messages)
    at_least(0, tool_every=tool_every)
    words = Words(seed)

    def make(number: int) -> Turn:
        system = opening(number)
        if tool_every and number % tool_every == tool_every - 1:
            return words.turn(number, Round(calls=(words.lookup(number),)), system=system)
        return words.turn(number, system=system)

    params = {"messages": messages, "tool_every": tool_every}
    turns = LazyTurns(_turns_for(messages, tool_every), make)
    return Scenario(name="long_conversation", seed=seed, turns=turns, params=params)


def _turns_for(messages: int, tool_every: int) -> int:
    """Return the largest T of the formula above."""
    if not tool_every:
        return (messages - 1) // 2
    blocks, rest = divmod(messages - 1, 2 * tool_every + 2)
    # The last turn of a block says four messages: it must not be begun with only two left.
    return blocks * tool_every + min(rest // 2, tool_every - 1)
