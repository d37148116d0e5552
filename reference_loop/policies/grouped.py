"""The policy that the harness shows to be right: nothing is torn apart that a provider wants whole."""

from array import array
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterator
from itertools import takewhile
from operator import itemgetter

from looprig.messages import Message
from reference_loop.policies.base import NEVER, Policy

RANK = itemgetter(0)


class Grouped(Policy):
    """Above the trigger keep all system messages, the current user message and the newest whole units.

    A cut is made at the start of a turn or, inside the current one, at an assistant message: at the oldest that leaves
    no more than the target. That one moves on by a step an append, so nothing ever looks at the history: an append
    costs O(1), a trim a copy of the system messages. A user message in the middle of a group starts no turn. Non-goals:
    tokens, and broken histories: a call that is not answered before the next assistant message is not waited for.
    """

    reserve = 0
    """How many messages a cut adds."""

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        super().__init__(pairs, trigger, target)
        self._slack = 1 + self.reserve - self.target
        # A rank is a message's number, system messages not counted; a cut is the rank of what starts there.
        self._turn = self._user_rank = -1
        self._shift = self._passed = self._dropped = self._start = 0
        self._user = self._reply = Message(role="assistant")
        self._systems: list[tuple[int, Message]] = []
        self._turns: deque[int] = deque()
        """Cuts that leave no more than the target."""
        self._units = array("q")
        """Cuts in the current turn; the first that leaves no more than the target is number ``_passed``."""

    def note(self, message: Message, number: int, tail: deque[Message]) -> None:
        role = message.role
        if role == "assistant":
            self._units.append(number - self._shift)
            self._reply = message
            self.due = self._due
        elif role == "user":
            self._note_user(message, number - self._shift, tail)
        elif role == "system":
            self._systems.append((number - self._shift, message))
            self._shift += 1
        # One message more puts at most one cut above the target.
        turns, units, oldest = self._turns, self._units, number + self._slack
        if turns and turns[0] < oldest:
            turns.popleft()
        if not turns and self._passed < len(units) and units[self._passed] <= oldest:
            self._passed += 1

    def _note_user(self, message: Message, rank: int, tail: deque[Message]) -> None:
        self._user, self._user_rank = message, rank
        self._turn, self._passed = -1, 0
        del self._units[:]
        if self._reply.tool_calls:
            results = takewhile(lambda each: each is not self._reply, reversed(tail))
            open_ids = Counter[str | None](call.id for call in self._reply.tool_calls)
            if open_ids - Counter(each.tool_call_id for each in results):
                return  # It stands in the middle of a group.
        self._turns.append(rank)
        self._turn, self.due = rank, self._due
        self._reply = message  # The group before is complete, and may be dropped.

    def cut(self, messages: Iterator[Message], turn_over: bool) -> int:
        newest = self._units[-1] if self._units else self._turn
        cut = (self._turns or self._units[self._passed : self._passed + 1] or [newest])[0]
        pinned = -1 < self._user_rank < cut
        dropped = cut - pinned - self.reserve
        # At the newest cut only what must stay is left, until something new begins.
        self.due = NEVER
        if dropped <= self._dropped:
            return 0
        self._dropped, self._due = dropped, self.trigger + dropped
        if cut != newest:
            self.due = self._due
        before, self._start = self._start, cut + bisect_right(self._systems, cut, key=RANK)
        self.head = [message for _, message in self._systems[: self._start - cut]]
        if pinned:
            self.head.insert(bisect_right(self._systems, self._user_rank, key=RANK), self._user)
        return self._start - before
