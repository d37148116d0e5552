"""Single messages that are larger than everything around them together.

Finds a token budget that one message bursts: a trim that drops the whole history and is
still too large, that loops for ever, that counts messages where it should count tokens, or
that cuts the large text in the middle without saying so. Large user messages, tool results
and answers take turns among small ones.
"""

from __future__ import annotations

import msgspec

from looprig.scenario import PlannedCall, Round, Scenario, Turn, stream, user_text

from ._text import SYSTEM, Words, at_least, decks


def scenario(
    seed: int,
    *,
    turns: int = 200,
    every: int = 16,
    user_chars: int = 50_000,
    result_chars: int = 200_000,
    answer_chars: int = 200_000,
) -> Scenario:
    """Return *turns* turns, each *every*-th with one large text; the sizes are in characters.

    A user message of 50,000 stays below the 100,000 at which a loop's input validation usually refuses.
    """
    at_least(1, turns=turns, every=every, user_chars=user_chars, result_chars=result_chars, answer_chars=answer_chars)
    words = Words(seed)

    def large(number: int, where: str) -> Turn:
        turn = words.turn(number)
        if where == "user":
            return msgspec.structs.replace(turn, say=user_text(0, number, words.text(number, 0, user_chars)))
        if where == "answer":
            return msgspec.structs.replace(turn, answer=words.text(number, 1, answer_chars))
        inputs, result = {"path": f"logs/{number}.txt"}, words.text(number, 3, result_chars)
        # A small sibling in front of the large result: they stand or fall together.
        calls = (words.lookup(number), PlannedCall(name="read_file", inputs=inputs, result=result))
        return msgspec.structs.replace(turn, rounds=(Round(calls=calls),))

    wheres = decks(stream(seed, "wheres"), ("user", "result", "answer"))
    made = [words.turn(0, system=(SYSTEM,))]
    made += (words.turn(number) if number % every else large(number, next(wheres)) for number in range(1, turns))
    params = {
        "turns": turns,
        "every": every,
        "user_chars": user_chars,
        "result_chars": result_chars,
        "answer_chars": answer_chars,
    }
    return Scenario(name="oversized_message", seed=seed, turns=tuple(made), params=params)
