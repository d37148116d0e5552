"""A provider that uses the same tool call ids again in every round.

Finds a loop that keys its calls by id alone: it pairs a result with an older call of the
same id, keeps or drops the wrong one in a trim, or takes a new call for a repetition and
does not run it. Ids are ``call_1``, ``call_2``, … within each round, as several local model
servers number them.
"""

from __future__ import annotations

from looprig.scenario import Round, Scenario, stream

from ._text import Words, at_least, decks, opening


def scenario(seed: int, *, turns: int = 80, rounds_max: int = 2, width_max: int = 3) -> Scenario:
    """Return *turns* turns of up to *rounds_max* rounds of up to *width_max* calls."""
    at_least(1, turns=turns, rounds_max=rounds_max, width_max=width_max)
    words, shapes = Words(seed), stream(seed, "shapes")
    depths, widths = decks(shapes, range(1, rounds_max + 1)), decks(shapes, range(1, width_max + 1))

    def round_(number: int, depth: int) -> Round:
        first = 2 + 64 * depth
        return Round(calls=tuple(words.lookup(number, first + n, id=f"call_{n + 1}") for n in range(next(widths))))

    made = tuple(
        words.turn(number, *(round_(number, d) for d in range(next(depths))), system=opening(number))
        for number in range(turns)
    )
    params = {"turns": turns, "rounds_max": rounds_max, "width_max": width_max}
    return Scenario(name="repeated_ids", seed=seed, turns=made, params=params)
