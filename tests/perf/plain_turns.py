"""A scenario for measuring a server: turns without tools, each answered by 64 words in as many pieces."""

from __future__ import annotations

from looprig.scenario import LazyTurns, Scenario, Turn, user_text

CHUNKS = 64
TEXT = "".join(f"word{number:02d} " for number in range(CHUNKS))
"""As tests/perf/bare.py has it: the replies of both are of one size."""


def scenario(seed: int, *, turns: int = 1000) -> Scenario:
    """Turns that are all alike."""

    def turn(number: int) -> Turn:
        return Turn(say=user_text(0, number, "Tell me."), answer=TEXT, chunks=CHUNKS)

    return Scenario(name="plain_turns", seed=seed, turns=LazyTurns(turns, turn), params={"turns": turns})
