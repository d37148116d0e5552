"""One turn with 200 tool rounds, far beyond any message budget.

Finds a trim that cannot cope with a turn larger than its budget: it drops the user's
question while the model still works on it (an agent then starts the task over, again and
again), keeps a result whose call is gone, or stops trimming at all.
"""

from __future__ import annotations

from looprig.scenario import Round, Scenario

from ._text import Words, at_least, opening


def scenario(seed: int, *, rounds: int = 200, before: int = 3, after: int = 2) -> Scenario:
    """Return *before* ordinary turns, one of *rounds* rounds with a call each, and *after* ordinary ones."""
    at_least(1, rounds=rounds)
    at_least(0, before=before, after=after)
    words = Words(seed)
    chain = tuple(Round(calls=(words.lookup(before, part),)) for part in range(2, rounds + 2))
    turns = tuple(
        words.turn(number, *(chain if number == before else ()), system=opening(number))
        for number in range(before + 1 + after)
    )
    params = {"rounds": rounds, "before": before, "after": after}
    return Scenario(name="long_tool_chain", seed=seed, turns=turns, params=params)
