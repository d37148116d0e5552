"""What a user of a load run says, how long they think, and when they leave: all of it drawn from the plan's seed.

The texts are the user messages of a scenario. Session number n plays the scenario of the seed `seed_of`: a run has at
most `SCRIPTS_MOST` different ones, which come round again: making one takes ten milliseconds or so, in which a
generator is late for everything else, and a run has thousands of sessions. So all of them are made before anybody
arrives. The service is told scenario and seed when the session is opened, and plays the same script.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random
from statistics import NormalDist

from looprig.content import ContentError, make_scenario
from looprig.load.plan import Plan, Talk, Think
from looprig.scenario import Turn, stream

SCRIPTS_MOST = 16
"""Different scripts in a run."""

LEAVES_AFTER_MOST = 10
"""A user who leaves does so after the first to tenth piece of the answer."""

_NORMAL = NormalDist()
_LEAST = 2.0**-54  # half of the least step of Random.random(), whose 0 has no logarithm


def seed_of(plan: Plan, number: int) -> int:
    """Return the seed of the script of session *number*."""
    return plan.seed + number % SCRIPTS_MOST


class Talks:
    """What the users of one plan say and do, session by session; scripts are made once, here and now.

    Raises:
        ContentError: where there is no such scenario, or it does not take the parameters.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._scripts = {seed: self._make(seed) for seed in sorted({seed_of(plan, n) for n in range(SCRIPTS_MOST)})}

    def texts(self, number: int) -> Iterator[str]:
        """Yield what the user of session *number* says, one text a turn."""
        turns = self._scripts[seed_of(self._plan, number)]
        most = self._plan.talk.turns
        for index in range(len(turns) if most is None else min(most, len(turns))):
            yield turns[index].say

    def manner(self, number: int) -> Manner:
        """Return how the user of session *number* behaves."""
        return Manner(self._plan.talk, stream(self._plan.seed, f"manner {number}"))

    def _make(self, seed: int) -> Sequence[Turn]:
        talk = self._plan.talk
        turns = make_scenario(talk.scenario, seed, talk.parameters).turns
        if not len(turns):
            raise ContentError(f"the scenario {talk.scenario} has no turns, so that its users have nothing to say")
        # A scenario of several people's sessions is one person's here: a load run brings many users of its own.
        # Only turns that are held in memory belong to several people, so that endless ones are not gone through.
        if isinstance(turns, tuple):
            return [turn for turn in turns if turn.session == turns[0].session]
        return turns


class Manner:
    """One user's ways, drawn turn by turn: the same draws whatever the plan's figures are, so that one does not shift
    the other."""

    def __init__(self, talk: Talk, random: Random) -> None:
        self._talk = talk
        self._random = random

    def next_turn(self) -> tuple[float, int | None]:
        """Return for the next turn how many seconds the user thinks before it, and after how many pieces of the
        answer they leave, or None for those who stay."""
        z = _NORMAL.inv_cdf(max(self._random.random(), _LEAST))
        leaves, pieces = self._random.random(), self._random.random()
        after = 1 + int(pieces * LEAVES_AFTER_MOST) if leaves < self._talk.abandon else None
        return think_s(self._talk.think, z), after

    def first_wait_s(self) -> float:
        """Return how long a user of a closed loop waits before the first turn: what is left of a pause that had begun.

        People who all begin at one moment march in step for minutes. The moment at which a user is met lies in a
        longer pause the more often, the longer it is; of a lognormal, these pauses have the same sigma and a median
        higher by ``exp(sigma ** 2)``. What is left of one is evenly distributed.
        """
        think = self._talk.think
        z = _NORMAL.inv_cdf(max(self._random.random(), _LEAST)) + think.sigma
        return self._random.random() * think_s(think, z)


def think_s(think: Think, z: float) -> float:
    """Return the pause that lies *z* standard deviations from the median: ``median * exp(sigma * z)``, at most the
    cap; then scaled."""
    return min(think.median_s * math.exp(think.sigma * z), think.most_s) * think.scale
