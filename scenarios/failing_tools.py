"""Tools that raise, hang, flood or do not exist, arguments that are not JSON, calls that are denied.

Finds an error that escapes from the loop, a failed call without a result (the next request is
then refused), siblings that are lost with the one that failed, a denied call that runs, a
turn that never ends, and a history that is broken after the user gave a turn up.

Each kind of failure comes alone and as one of several calls. Turns that are given up while a
slow tool runs are followed by ordinary ones, which show what was left behind.
"""

from __future__ import annotations

from itertools import chain

import msgspec

from looprig.scenario import PlannedCall, Round, Scenario, Turn, stream

from ._text import SYSTEM, Words, at_least, decks

_SLOW_S = 30.0
_PATIENCE_S = 1.0


def failures(depth: int) -> dict[str, PlannedCall]:
    """Return one call of each kind that fails; *depth* is that of the deeply nested arguments."""
    query = {"query": "anything"}
    nested = '{"query": ' + "[" * depth + "]" * depth + "}"
    return {
        "raises": PlannedCall(name="search", inputs=query, outcome="raise"),
        "hangs": PlannedCall(name="fetch_url", inputs={"url": "https://example.org/slow"}, outcome="hang"),
        "huge": PlannedCall(name="read_file", inputs={"path": "logs/all.txt"}, outcome="huge"),
        "unserialisable": PlannedCall(name="read_file", inputs={"path": "image.bin"}, outcome="unserialisable"),
        "unknown_near_miss": PlannedCall(name="serach", inputs=query),
        "unknown_empty": PlannedCall(name="", inputs=query),
        "unknown_dunder": PlannedCall(name="__class__", inputs=query),
        "arguments_truncated": PlannedCall(name="search", arguments='{"query": "anyth'),
        "arguments_list": PlannedCall(name="search", arguments="[]"),
        "arguments_null": PlannedCall(name="search", arguments="null"),
        "arguments_number": PlannedCall(name="search", arguments="1"),
        "arguments_string": PlannedCall(name="search", arguments='"x"'),
        "arguments_empty": PlannedCall(name="search", arguments=""),
        "arguments_nested": PlannedCall(name="search", arguments=nested),
        "denied": PlannedCall(name="delete_file", inputs={"path": "data/important.txt"}, approve=False),
    }


def scenario(seed: int, *, turns: int = 100, depth: int = 100_000) -> Scenario:
    """Return *turns* turns that go through all kinds again and again; the first 36 have each of them."""
    at_least(1, turns=turns, depth=depth)
    words, order = Words(seed), stream(seed, "order")
    kinds = failures(depth)
    acts: list[tuple[str, ...]] = [(f"{kind} {where}",) for kind in kinds for where in ("alone", "among")]
    acts += [("given_up alone", "plain plain"), ("given_up among", "plain plain", "plain plain")]
    planned = chain.from_iterable(decks(order, acts))
    made = [words.turn(0, system=(SYSTEM,))]
    while len(made) < turns:
        kind, where = next(planned).split()
        made.append(_turn(words, len(made), kind, where, kinds))
    params = {"turns": turns, "depth": depth}
    return Scenario(name="failing_tools", seed=seed, turns=tuple(made), params=params)


def _turn(words: Words, number: int, kind: str, where: str, kinds: dict[str, PlannedCall]) -> Turn:
    turn = words.turn(number)
    if kind == "plain":
        return turn
    failing = words.lookup(number, 2, duration_s=_SLOW_S) if kind == "given_up" else kinds[kind]
    calls = (failing,) if where == "alone" else _among(words, number, failing)
    # An approved deletion beside the denied one: a loop must not take one decision for both.
    if kind == "denied" and where == "among":
        calls += (PlannedCall(name="delete_file", inputs={"path": "data/old.txt"}, result="deleted data/old.txt"),)
    cancel_after_s = _PATIENCE_S if kind == "given_up" else None
    return msgspec.structs.replace(turn, rounds=(Round(calls=calls),), cancel_after_s=cancel_after_s)


def _among(words: Words, number: int, failing: PlannedCall) -> tuple[PlannedCall, ...]:
    """Return *failing* with a sound call on each side, so that neither the first nor the last fails."""
    return (words.lookup(number, 3), failing, words.lookup(number, 4))
