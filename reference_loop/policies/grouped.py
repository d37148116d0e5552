"""The policy that the harness shows to be right: nothing is torn apart that a provider wants whole."""

from array import array
from bisect import bisect_right
from collections import Counter, deque
from itertools import takewhile

from looprig.messages import Message
from reference_loop.policies.base import NEVER, Policy


class Grouped(Policy):
    """Above the trigger keep all system messages, the current user message and the newest whole units.

    A cut is made at the start of a turn or, inside the current one, at an assistant message: at the oldest that leaves
    no more than the target. That one moves on by a step an append, and the trim there is prepared when it does: so an
    append costs O(1), and a trim as good as nothing. A user message in the middle of a group starts no turn. Non-goals:
    tokens, and broken histories: a call that is not answered before the next assistant message is not waited for.
    """

    reserve = 0  # How many messages a trim adds.

    def __init__(self, pairs: int, trigger: int | None = None, target: int | None = None) -> None:
        super().__init__(pairs, trigger, target)
        self._slack = 1 + self.reserve - self.target
        # A rank is a message's number, system messages not counted; a cut is the rank of what starts there.
        self._systems: list[Message] = []
        self._ranks = array("q")  # Those of the system messages.
        self._user = self._reply = Message(role="assistant")
        self._user_rank, self._turn, self._next_cut, self._passed, self._shift = NEVER, -1, -1, 0, 0
        self._turns = deque[int]()  # Cuts that leave no more than the target.
        self._units = array("q")  # Cuts in the current turn; number `_passed` is the first that leaves no more.
        self._holds = -1  # Up to this number the next cut is the oldest that leaves no more than the target.
        self._head: tuple[int, int, Message] = (0, NEVER, self._user)

    def note(self, message: Message, number: int) -> None:
        role = message.role
        if role == "assistant":
            self._units.append(number - self._shift)
            self._reply = message
        elif role == "user":
            self._note_user(message, number - self._shift)
        elif role == "system":
            self._ranks.append(number - self._shift)
            self._systems.append(message)
            self._shift += 1
        if number > self._holds:
            self._aim(number + self._slack)

    def _note_user(self, message: Message, rank: int) -> None:
        self._user, self._user_rank = message, rank
        self._turn, self._passed = -1, 0
        self._holds = self._holds if self._turns else -1
        del self._units[:]
        if self._reply.tool_calls:
            results = takewhile(lambda each: each is not self._reply, reversed(self.tail))
            open_ids = Counter[str | None](call.id for call in self._reply.tool_calls)
            if open_ids - Counter(each.tool_call_id for each in results):
                return  # It stands in the middle of a group.
        self._turns.append(rank)
        self._turn = rank
        self._reply = message  # The group before is complete, and may be dropped.

    def _aim(self, oldest: int) -> None:
        """Find the next cut, of which one message more puts at most one above the target, and prepare the trim."""
        turns, units = self._turns, self._units
        if turns and turns[0] < oldest:
            turns.popleft()
        if not turns and self._passed < len(units) and units[self._passed] <= oldest:
            self._passed += 1
        if turns:
            # Looked at every 64 messages at least: code that the processor has not forgotten takes a third of the time.
            cut, self._holds = turns[0], min(turns[0], oldest + 63) - self._slack
        elif self._passed < len(units):
            cut, self._holds = units[self._passed], units[self._passed] - self._slack - 1
        else:  # At this one only what must stay is left.
            cut, self._holds = units[-1] if units else self._turn, -1
        if cut != self._next_cut:
            before, dropped = bisect_right(self._ranks, cut), cut - (self._user_rank < cut) - self.reserve
            self._next_cut, self._next = cut, (cut + before, dropped, (before, self._user_rank, self._user))
            self.due = self.dropped + self.trigger if dropped > self.dropped else NEVER

    def trim(self, turn_over: bool) -> None:
        start, self.dropped, self._head = self._next
        self.waiting, self.start, self.due = self.waiting + start - self.start, start, NEVER

    def head(self) -> list[Message]:
        before, user_rank, user = self._head
        head = self._systems[:before]
        if user_rank < self.start - before:
            head.insert(bisect_right(self._ranks, user_rank), user)
        return head
