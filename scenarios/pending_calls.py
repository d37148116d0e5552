"""Trims that fall between tool calls and their results, whatever the budget.

Finds the fault of the seed: a trim that cuts a group apart and sends tool results whose
calls are gone (every provider answers HTTP 400), or drops calls that still run. Groups of
one to eight calls and runs of none to six ordinary messages follow each other in random
order, so both the moment of a trim and the place of its cut drift through the groups.
"""

from __future__ import annotations

from looprig.scenario import Round, Scenario, Turn, stream

from ._text import SYSTEM, Words, at_least, decks


def scenario(seed: int, *, messages: int = 700, width_max: int = 8) -> Scenario:
    """Return turns with one to three rounds of up to *width_max* calls, until *messages* messages are said."""
    at_least(1, messages=messages, width_max=width_max)
    words, shapes = Words(seed), stream(seed, "shapes")
    plains, depths = decks(shapes, range(4)), decks(shapes, range(1, 4))
    widths = decks(shapes, range(1, width_max + 1))
    turns = [words.turn(0, system=(SYSTEM,))]
    said = 3
    while said < messages:
        added = [words.turn(len(turns) + ahead) for ahead in range(next(plains))]
        added.append(_tool_turn(words, len(turns) + len(added), [next(widths) for _ in range(next(depths))]))
        turns += added
        said += sum(_messages(turn) for turn in added)
    params = {"messages": messages, "width_max": width_max}
    return Scenario(name="pending_calls", seed=seed, turns=tuple(turns), params=params)


def _tool_turn(words: Words, number: int, widths: list[int]) -> Turn:
    rounds = (
        Round(calls=tuple(words.lookup(number, 2 + 64 * depth + call) for call in range(width)))
        for depth, width in enumerate(widths)
    )
    return words.turn(number, *rounds)


def _messages(turn: Turn) -> int:
    return 2 + sum(1 + len(round_.calls) for round_ in turn.rounds)
