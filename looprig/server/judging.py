"""Judges the sessions of a server with looprig's invariants, as far as requests alone can tell.

How a client runs its tools and what it shows its user happens on its side: rules about that are not judged here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from looprig.invariants import RULES, Checker, Violation
from looprig.invariants.rule import Rule
from looprig.ledger import Ledger
from looprig.loop import Contract
from looprig.messages import Message
from looprig.observe import Observer, RequestView
from looprig.scenario import Turn
from looprig.trace import Event, Reply, SessionStarted, TurnEnded, TurnStarted, TurnStatus

OUT_OF_SIGHT = frozenset(
    {
        *("LR109", "LR110", "LR111"),  # a trim by itself
        *("LR133", "LR134", "LR135"),  # what tools gave back, what the user got, what was refused
        *("LR142", "LR143", "LR144", "LR145", "LR146"),  # which tools ran
        *("LR151", "LR155", "LR156", "LR157"),  # how a turn ended for the user
    }
)
"""Rules about what happens at the client."""

WIRE_RULES: tuple[Rule, ...] = tuple(rule for code, rule in RULES.items() if code not in OUT_OF_SIGHT)

ENDLESS = "LR152"


class Bench:
    """The checker that all sessions of a server share, and who is told of what it finds."""

    def __init__(self, contract: Contract, found: Callable[[str, Violation], None]) -> None:
        self.contract = contract
        self.checker = Checker(WIRE_RULES)
        self._found = found

    def judge(self, observer: Observer, event: Event, whose: str) -> Counter[str] | None:
        """Show *event* to a session's observer and judge what it completes; return what is broken, by code."""
        view = observer.see(event)
        if view is None:
            return None
        checker = self.checker
        before, known = checker.broken.copy() if checker.broken else None, len(checker.violations)
        checker.see(view)
        if not checker.broken:
            return None
        for violation in checker.violations[known:]:
            self._found(whose, violation)
        return checker.broken - (before or Counter())


class Judge:
    """What is known of one session so that its next request can be judged."""

    __slots__ = ("_bench", "_ledger", "_number", "_observer", "_turn", "_whose", "broken")

    def __init__(self, bench: Bench, whose: str, number: int, broken: Counter[str]) -> None:
        self._bench = bench
        self._whose = whose
        self._number = number
        self._ledger = Ledger(number, bench.contract.mask)
        self._observer = Observer()
        self._observer.see(SessionStarted(session=number, contract=bench.contract))
        self._turn = -1
        self.broken = broken

    def begin(self, turn: int, plan: Turn) -> None:
        """A turn starts: the plan says what was typed."""
        self._turn = turn
        self._ledger.say(Message(role="user", content=plan.say))
        self._observer.see(TurnStarted(turn=turn, plan=plan, at_s=0.0))

    def adopt(self, messages: list[Message]) -> None:
        """Take the first request that is seen of a session as it is: what it says of earlier turns was said there."""
        view = self._observer.see(self._ledger.request(messages, self._turn))
        assert isinstance(view, RequestView)
        newest = max((entry.index for entry in view.entries if entry.message.role == "user"), default=-1)
        for entry in view.entries:
            if entry.index < newest:
                entry.turn = self._turn - 1
            if entry.kind == "invented":
                entry.kind = "user" if entry.message.role == "user" else "assistant"

    def request(self, messages: list[Message]) -> None:
        """Judge a request; the list may be kept."""
        self._see(self._ledger.request(messages, self._turn))

    def reply(self, turn: int, round_: int, message: Message | None, fault: str | None = None) -> None:
        """The model says something, or fails."""
        if message is not None:
            self._ledger.say(message)
        self._see(Reply(session=self._number, turn=turn, round=round_, at_s=0.0, message=message, fault=fault))

    def end(self, status: TurnStatus, answer: str | None = None, error: str | None = None) -> bool:
        """The turn is over; judge it. Return whether it is found to start over and over."""
        before = self.broken[ENDLESS]
        self._see(
            TurnEnded(
                session=self._number, turn=self._turn, status=status, at_s=0.0, answer=answer, own=False, error=error
            )
        )
        return self.broken[ENDLESS] > before

    def _see(self, event: Event) -> None:
        found = self._bench.judge(self._observer, event, self._whose)
        if found:
            self.broken.update(found)
