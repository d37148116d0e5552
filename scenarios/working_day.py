"""Six people's conversations of a working day, interleaved, as the published data has them.

Finds what even sizes hide: the few long conversations among many short ones that make a trim
work, pasted blocks, sessions that mix up each other's state, and pauses in which a connection
or a cache expires. Each person keeps one session, and comes back to it several times a day.
A session says about 100 messages, so that a budget of 10 pairs trims in all of them and one of 100 in none:
more ``conversations`` reach further.

From data:

- turns of a conversation: 31 % have one, the others 1 + lognormal(median 4, sigma 1.15), at most 80 (part of
  ShareGPT, 9460 conversations rejoined by us: mean 6.5, median 3, 99th percentile 56);
- user's message: lognormal(mu 4.6, sigma 1.4) characters, the first of a conversation lognormal(5.0, 1.5), at most
  20,000 (the same data);
- answer: lognormal(median 310 tokens, sigma 0.6), at most 1000, at 4 characters a token (the same data);
- think time: lognormal(median 60 s, sigma 1), at most 300 s, the profile for long answers (Mooncake conversation
  trace, Apache-2.0: 123 s from arrival to arrival, model time included);
- conversations begin with gamma gaps of shape 0.7, a CV of 1.2 (ServeGen m-large, Apache-2.0: median client 1.18).

Judgement, since nothing is published: 2 % of the messages are pasted blocks of 5,000 to 20,000 characters; 30 % of
the turns call tools, in 1 + geometric(0.5) rounds, at most 8, of 1 to 3 calls; a tool takes lognormal(median 0.3 s,
sigma 1), 2 % take 5 s, 1 % fail; four conversations a person, begun within eight hours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from statistics import NormalDist
from typing import NamedTuple

from looprig.scenario import PlannedCall, Round, Scenario, Turn, stream, user_text

from ._text import SYSTEM, Words, at_least

_DAY_S = 8 * 3600.0


class Due(NamedTuple):
    """A turn before its text is known; sorts by time."""

    at_s: float
    session: int
    pause_s: float
    begins: bool
    """Whether it is the first of its conversation."""


def scenario(seed: int, *, sessions: int = 6, conversations: int = 4, pace: float = 1.0) -> Scenario:
    """Return the day of *sessions* people with *conversations* each; all pauses are multiplied by *pace*."""
    at_least(1, sessions=sessions, conversations=conversations)
    at_least(0, pace=pace)
    words, lengths, tools = Words(seed), stream(seed, "lengths"), stream(seed, "tools")
    greeted: set[int] = set()
    turns = []
    for number, due in enumerate(sorted(_plan(seed, sessions, conversations))):
        say = words.text(number, 0, _user_chars(lengths, due.begins))
        turns.append(
            Turn(
                say=user_text(due.session, number, say),
                answer=words.text(number, 1, _answer_chars(lengths)),
                rounds=_rounds(tools, words, number),
                system=() if due.session in greeted else (SYSTEM,),
                session=due.session,
                pause_s=due.pause_s * pace,
            )
        )
        greeted.add(due.session)
    params = {"sessions": sessions, "conversations": conversations, "pace": pace}
    return Scenario(name="working_day", seed=seed, turns=tuple(turns), params=params)


def _plan(seed: int, sessions: int, conversations: int) -> Iterator[Due]:
    """Say when each turn of the day is due; model and tools count as instant."""
    arrivals, thinking = stream(seed, "arrivals"), stream(seed, "thinking")
    count = sessions * conversations
    gap_s = _DAY_S / count
    arrived_s = 0.0
    free_s = [0.0] * sessions
    for conversation, length in enumerate(_turn_counts(stream(seed, "turn counts"), count)):
        arrived_s += arrivals.gammavariate(0.7, gap_s / 0.7)
        session = conversation % sessions
        for turn in range(length):
            think_s = min(300.0, thinking.lognormvariate(math.log(60.0), 1.0))
            # Somebody whose last conversation is not over begins the next one after it.
            pause_s = max(think_s, arrived_s - free_s[session]) if turn == 0 else think_s
            free_s[session] += pause_s
            yield Due(free_s[session], session, pause_s, turn == 0)


def _turn_counts(random: Random, count: int) -> list[int]:
    """Draw one conversation from each *count*-th part of the distribution, in random order.

    Drawn freely, two dozen conversations often have no long one at all, or three.
    """
    shares = [(part + random.random()) / count for part in range(count)]
    return [_turns_at(share) for share in random.sample(shares, count)]


def _turns_at(share: float) -> int:
    """Return the number of turns that *share* of all conversations do not exceed."""
    if share < 0.31:
        return 1
    rest = min((share - 0.31) / 0.69, 1 - 1e-9)
    return min(80, 1 + round(4 * math.exp(1.15 * NormalDist().inv_cdf(rest or 1e-9))))


def _user_chars(random: Random, begins: bool) -> int:
    if random.random() < 0.02:
        return random.randint(5_000, 20_000)
    drawn = random.lognormvariate(5.0, 1.5) if begins else random.lognormvariate(4.6, 1.4)
    return max(1, min(20_000, round(drawn)))


def _answer_chars(random: Random) -> int:
    return max(1, round(4 * min(1000.0, random.lognormvariate(math.log(310), 0.6))))


def _rounds(random: Random, words: Words, number: int) -> tuple[Round, ...]:
    if random.random() >= 0.3:
        return ()
    depth = 1
    while depth < 8 and random.random() < 0.5:
        depth += 1
    return tuple(Round(calls=_calls(random, words, number, 2 + 64 * index)) for index in range(depth))


def _calls(random: Random, words: Words, number: int, first: int) -> tuple[PlannedCall, ...]:
    return tuple(_call(random, words, number, part) for part in range(first, first + random.randint(1, 3)))


def _call(random: Random, words: Words, number: int, part: int) -> PlannedCall:
    duration_s = 5.0 if random.random() < 0.02 else random.lognormvariate(math.log(0.3), 1.0)
    call = words.lookup(number, part, duration_s=duration_s)
    if random.random() < 0.01:
        return PlannedCall(name=call.name, inputs=call.inputs, outcome="raise", duration_s=duration_s)
    return call
