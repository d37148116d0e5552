"""The self-test: a trimmer that keeps every rule, and the three naive ones that most code starts with."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator

from looprig.messages import Message
from looprig.trimmers.contract import Subject, TrimContract, Trimmer, contract_in, tokens


def head_and_tail(limit: int) -> Trimmer:
    """Keep the first message and the newest ones, in pairs."""
    pairs = max(1, (limit - 1) // 2)
    return lambda history: history if len(history) <= limit else [history[0], *history[-2 * pairs :]]


def bounded_deque(limit: int) -> Trimmer:
    """Keep what a deque keeps."""
    return lambda history: list(deque(history, maxlen=limit))


def newest(limit: int) -> Trimmer:
    """Keep the newest messages."""
    return lambda history: history[-limit:]


def reference(limit: int, cost: Callable[[Message], int] = lambda _: 1) -> Trimmer:
    """Keep the system messages at the front and as many of the newest whole turns as fit.

    Where the turn under way is too large by itself, its user message stays, and as many of its newest units as fit,
    one at least. Each step back from the end looks at one message, so that a call costs what is kept.
    """

    def trim(history: list[Message]) -> list[Message]:
        lead = next((at for at, message in enumerate(history) if message.role != "system"), len(history))
        head = history[:lead]
        room = limit - sum(map(cost, head))
        turn = None
        for at, spent in _places_to_cut(history, lead, cost):
            if spent > room:
                break
            if at == lead:
                return history
            turn = at if history[at].role == "user" else turn
        return head + (history[turn:] if turn is not None else _of_the_turn_under_way(history, lead, room))

    def _of_the_turn_under_way(history: list[Message], lead: int, room: int) -> list[Message]:
        asked = next((at for at in range(len(history) - 1, lead - 1, -1) if history[at].role == "user"), None)
        pinned = [] if asked is None else [history[asked]]
        room -= sum(map(cost, pinned))
        cut = None
        for at, spent in _places_to_cut(history, lead, cost):
            if asked is not None and at <= asked:
                return pinned + history[cut:] if cut is not None else _opened(history, at, lead)
            if cut is not None and spent > room:
                break
            cut = at
        return pinned + history[cut:] if cut is not None else []

    return trim


def _opened(history: list[Message], at: int, lead: int) -> list[Message]:
    """Return the history from the turn on that message *at*, whose result came in late, stands in."""
    return history[next((back for back in range(at, lead - 1, -1) if history[back].role == "user"), at) :]


def _places_to_cut(history: list[Message], lead: int, cost: Callable[[Message], int]) -> Iterator[tuple[int, int]]:
    """Walk back from the end; yield each place behind which all results have their calls, and what is behind it."""
    wanted: Counter[str | None] = Counter()
    spent = 0
    for at in range(len(history) - 1, lead - 1, -1):
        message = history[at]
        spent += cost(message)
        if message.role == "tool":
            wanted[message.tool_call_id] += 1
        for call in message.tool_calls:
            if wanted[call.id] > 1:
                wanted[call.id] -= 1
            else:
                del wanted[call.id]
        if not wanted:
            yield at, spent


SUBJECTS = (
    Subject(name="head and tail", make=head_and_tail, contract=lambda limit: TrimContract(limit=max(3, limit))),
    Subject(name="deque(maxlen)", make=bounded_deque),
    Subject(name="h[-n:]", make=newest),
    Subject(name="reference", make=reference),
    Subject(name="reference (tokens)", make=lambda limit: reference(limit, tokens), contract=contract_in("tokens")),
)
