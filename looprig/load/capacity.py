"""How large a fleet has to be: from what a turn and a session cost, measured on one process, to workers and hosts.

Three laws, which hold whatever the distributions are (Denning and Buzen, The Operational Analysis of Queueing Network
Models, Computing Surveys 10(3), 1978; Little, A Proof for the Queuing Formula L = λW, Operations Research 9(3), 1961):

- the utilisation law, ``U = X * S``: cores that are busy are turns per second times CPU seconds per turn;
- Little's law for a closed loop, ``N = X * (R + Z)``: of N sessions each takes a turn every R + Z seconds, the response
  and the pause, so that ``X = N / (R + Z)``;
- memory is what a process holds by itself, and a part for each session.

What is extrapolated is a fleet of processes that share nothing, each on a core of its own, each with its part of the
sessions. It says nothing of what they may share: a database, a model's rate limit, a load balancer.
"""

from __future__ import annotations

import math

import msgspec

BUSY_MOST = 0.6
"""How busy a worker's core is to be, at most: above it, waiting grows faster than load (at 0.6 an open queue of one
server with exponential times holds its turns for 2.5 times their service, at 0.9 for 10: ``1 / (1 - U)``)."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What one process was measured to do at one size."""

    sessions: float
    turns_per_s: float
    cpu_share: float
    """Cores that were busy, U."""
    memory_bytes: float
    response_s: float
    think_s: float


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn and a session cost; ``idle_share`` and ``idle_bytes`` are there without any."""

    turn_s: float
    idle_share: float
    session_bytes: float
    idle_bytes: float


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What a size comes to, by the laws."""

    turns_per_s: float
    cpu_share: float
    memory_bytes: float


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet that carries its sessions; ``limit`` says what there are so many hosts for."""

    sessions: int
    turns_per_s: float
    workers: int
    hosts: int
    memory_bytes: float
    limit: str


class NoFit(ValueError):
    """Two sizes that no cost can be told from; the text says why."""


def fit(small: Size, large: Size) -> Cost:
    """Return the straight lines through two sizes: what grows with turns and sessions, and what is there without.

    Raises:
        NoFit: where the sizes do not differ, or the larger one costs less.
    """
    turns, sessions = large.turns_per_s - small.turns_per_s, large.sessions - small.sessions
    if turns <= 0 or sessions <= 0:
        raise NoFit("the second size has to have more sessions and more turns per second than the first")
    turn_s = (large.cpu_share - small.cpu_share) / turns
    session_bytes = (large.memory_bytes - small.memory_bytes) / sessions
    if turn_s <= 0:
        raise NoFit("more turns took less CPU time: the machine was busy with something else, or the runs too short")
    return Cost(
        turn_s=turn_s,
        # Below nothing is noise of the first size; a fleet is not made smaller by it.
        idle_share=max(0.0, small.cpu_share - turn_s * small.turns_per_s),
        session_bytes=max(0.0, session_bytes),
        idle_bytes=max(0.0, small.memory_bytes - max(0.0, session_bytes) * small.sessions),
    )


def expected(cost: Cost, sessions: float, response_s: float, think_s: float) -> Expected:
    """Return what one process does with so many sessions, each of which takes a turn every R + Z seconds.

    Raises:
        ValueError: where that is no time at all.
    """
    if response_s + think_s <= 0:
        raise ValueError("a session that neither waits nor thinks takes endlessly many turns")
    turns = sessions / (response_s + think_s)
    return Expected(
        turns_per_s=turns,
        cpu_share=cost.idle_share + turns * cost.turn_s,
        memory_bytes=cost.idle_bytes + sessions * cost.session_bytes,
    )


def fleet(
    cost: Cost,
    sessions: int,
    *,
    response_s: float,
    think_s: float,
    cores: int,
    memory_bytes: float,
    busy_most: float = BUSY_MOST,
) -> Fleet:
    """Return the fleet for *sessions*, on hosts of *cores* cores and *memory_bytes*.

    Raises:
        ValueError: where a worker is busy beyond *busy_most* without any session, or a host cannot hold one worker.
    """
    if cost.idle_share >= busy_most or cost.idle_bytes >= memory_bytes or cores < 1:
        raise ValueError("a worker by itself is already more than a core or a host is to carry")
    turns = expected(cost, sessions, response_s, think_s).turns_per_s
    workers = max(1, math.ceil(turns * cost.turn_s / (busy_most - cost.idle_share)))
    memory = workers * cost.idle_bytes + sessions * cost.session_bytes
    by_cores, by_memory = math.ceil(workers / cores), math.ceil(memory / memory_bytes)
    return Fleet(
        sessions=sessions,
        turns_per_s=turns,
        workers=workers,
        hosts=max(by_cores, by_memory),
        memory_bytes=memory,
        limit="memory" if by_memory > by_cores else "cores",
    )


def off(predicted: float, measured: float) -> float:
    """Return by which share a prediction is off."""
    return predicted / measured - 1 if measured else math.inf
