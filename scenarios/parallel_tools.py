"""Rounds of one to eight calls at once, some in conflict, some slow.

Finds a loop that runs calls beside each other which touch the same file, that returns
results in the order in which tools finish rather than in the order of the calls, or that
mixes up whose result is whose. A few files are read and written, searches conflict with
nothing, and ``run_command`` conflicts with everything, since it does not say what it touches.
"""

from __future__ import annotations

import math
from random import Random

from looprig.scenario import PlannedCall, Round, Scenario, stream

from ._text import Words, at_least, decks, opening

_WEIGHTS = {"read_file": 40, "write_file": 30, "search": 15, "list_files": 10, "run_command": 5}


def scenario(seed: int, *, turns: int = 30, width_max: int = 8, paths: int = 4) -> Scenario:
    """Return *turns* turns of one to three rounds, each of up to *width_max* calls on *paths* files."""
    at_least(1, turns=turns, width_max=width_max, paths=paths)
    words, shapes, draws = Words(seed), stream(seed, "shapes"), stream(seed, "calls")
    depths, widths = decks(shapes, range(1, 4)), decks(shapes, range(1, width_max + 1))

    def round_(number: int) -> Round:
        return Round(calls=tuple(_call(draws, words, number, part, paths) for part in range(2, next(widths) + 2)))

    made = tuple(
        words.turn(number, *(round_(number) for _ in range(next(depths))), system=opening(number))
        for number in range(turns)
    )
    params = {"turns": turns, "width_max": width_max, "paths": paths}
    return Scenario(name="parallel_tools", seed=seed, turns=made, params=params)


def _call(random: Random, words: Words, turn: int, part: int, paths: int) -> PlannedCall:
    (name,) = random.choices(tuple(_WEIGHTS), tuple(_WEIGHTS.values()))
    path, text = f"data/{random.randrange(paths)}.txt", words.sentence(turn, part)
    inputs = {
        "read_file": {"path": path},
        "write_file": {"path": path, "text": text},
        "search": {"query": text},
        "list_files": {"prefix": "data/"},
        "run_command": {"command": f"sort {path}"},
    }
    # Median 0.3 s, and one in twenty above 1.5 s: the order of finishing is rarely that of the calls.
    duration_s = random.lognormvariate(math.log(0.3), 1.0)
    return PlannedCall(name=name, inputs=inputs[name], result=f"{name}: {text}", duration_s=duration_s)
