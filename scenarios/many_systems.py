"""Several system messages, at the start and in the middle.

Finds a trim that takes whatever stands first for *the* system prompt and drops the others,
keeps one twice, or moves one that was added later to another place. An application adds
such messages for a new rule, a change of user, or a language.
"""

from __future__ import annotations

from looprig.scenario import Round, Scenario

from ._text import Words, at_least


def scenario(seed: int, *, systems: int = 5, turns: int = 200, every: int = 8, tool_every: int = 5) -> Scenario:
    """Return *turns* turns: *systems* system messages before the first, one more before each *every*-th.

    Each ``tool_every``-th turn has a round of two calls. 0 for ``every`` or ``tool_every`` leaves them out.
    """
    at_least(1, turns=turns)
    at_least(0, systems=systems, every=every, tool_every=tool_every)
    words = Words(seed)

    def added(number: int) -> tuple[str, ...]:
        if number == 0:
            return tuple(f"Rule {rule}: {words.sentence(0, 10 + rule)}" for rule in range(systems))
        if every and number % every == 0:
            return (f"From turn {number} on: {words.sentence(number, 10)}",)
        return ()

    def rounds(number: int) -> tuple[Round, ...]:
        if tool_every and number % tool_every == tool_every - 1:
            return (Round(calls=(words.lookup(number, 2), words.lookup(number, 3))),)
        return ()

    made = tuple(words.turn(number, *rounds(number), system=added(number)) for number in range(turns))
    params = {"systems": systems, "turns": turns, "every": every, "tool_every": tool_every}
    return Scenario(name="many_systems", seed=seed, turns=made, params=params)
