"""A scenario for measuring a service: plain turns whose texts have 100 characters each, cheap to make for any seed.

The texts of one seed are like nobody else's, as those of different people are: no two sessions share them.
``answer`` sets another length of the answers, ``rounds`` adds a tool call to each turn.
"""

from __future__ import annotations

from looprig.scenario import LazyTurns, PlannedCall, Round, Scenario, Turn, user_text

CHARS = 100


def text(seed: int, number: int, part: str, chars: int) -> str:
    """Return so many characters that belong to one part of one turn of one seed."""
    return f"{part} {number} of {seed}: {'some words that fill the line ' * (chars // 30 + 1)}"[:chars]


def scenario(seed: int, *, turns: int = 10_000, answer: int = CHARS - 10, rounds: int = 0) -> Scenario:
    """Turns that are all alike."""
    call = PlannedCall(name="search", inputs={"query": "anything"}, result="found " * 15)

    def turn(number: int) -> Turn:
        said = user_text(0, number, text(seed, number, "question", CHARS - 10))
        return Turn(say=said, answer=text(seed, number, "answer", answer), rounds=(Round(calls=(call,)),) * rounds)

    params = {"turns": turns, "answer": answer, "rounds": rounds}
    return Scenario(name="hundred", seed=seed, turns=LazyTurns(turns, turn), params=params)
