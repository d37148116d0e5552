"""A model that takes its time, streams in pieces, and fails now and then.

Finds a loop that does not wait, waits for ever, asks again where it must not (HTTP 400) or
not often enough (429, 500), joins the pieces of two tries into one answer, or is left with
half a turn in its history after it gave up.

Turns with a fault end in an error message or, where the loop retries, in the planned answer:
both are right. Some faults come once, some twice, and some outlast every patience.

Delays are lognormal with a median of 1.8 s and a mean of 2.5 s, the figures of AIPerf's
agentic preset for a step of an agent; that they fit a model's reply is our judgement, as is
all about the pieces.
"""

from __future__ import annotations

import math
from typing import get_args

import msgspec

from looprig.scenario import Fault, FaultKind, Round, Scenario, Turn, stream

from ._text import Words, at_least, decks, opening

_FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
_TIMES = (1, 2, 20)


def scenario(
    seed: int, *, turns: int = 160, tool_every: int = 4, fault_every: int = 6, median_s: float = 1.8
) -> Scenario:
    """Return *turns* turns, each *tool_every*-th with a tool round and each *fault_every*-th with a fault.

    0 for either leaves them out; 12 faults have every kind once, twice and lasting.
    """
    at_least(1, turns=turns)
    at_least(0, tool_every=tool_every, fault_every=fault_every, median_s=median_s)
    words, delays, pieces = Words(seed), stream(seed, "delays"), stream(seed, "pieces")
    faults = decks(stream(seed, "faults"), [(kind, times) for kind in _FAULT_KINDS for times in _TIMES])
    late = stream(seed, "late")

    def delay_s() -> float:
        return median_s * math.exp(delays.gauss(0.0, 0.81))

    def make(number: int) -> Turn:
        with_tools = tool_every > 0 and number % tool_every == tool_every - 1
        rounds = (Round(calls=(words.lookup(number, duration_s=0.3),), delay_s=delay_s()),) if with_tools else ()
        planned: tuple[Fault, ...] = ()
        if fault_every and number % fault_every == fault_every - 1:
            kind, times = next(faults)
            # In a turn with tools the fault may also meet the answer, when work is already done.
            planned = (Fault(kind=kind, times=times, round=late.randint(0, len(rounds))),)
        return msgspec.structs.replace(
            words.turn(number, *rounds, system=opening(number)),
            delay_s=delay_s(),
            chunks=pieces.choice((1, 2, 5, 20, 40)),
            faults=planned,
        )

    params = {"turns": turns, "tool_every": tool_every, "fault_every": fault_every, "median_s": median_s}
    return Scenario(name="slow_model", seed=seed, turns=tuple(make(number) for number in range(turns)), params=params)
