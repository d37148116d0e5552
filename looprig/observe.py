"""From events to what invariants and metrics look at: requests and turns, with their parts resolved.

The observer keeps, for each session, the current request as a list of `Entry` values, and says of
each request what was added, what was dropped, and which entries have to be judged: only
those added where a request extends the one before, all of them after a cut. So judging a
conversation costs work in proportion to what happens in it, not to its length times its history.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, SupportsIndex, overload

import msgspec

from looprig.ledger import positions_of
from looprig.loop import Contract
from looprig.messages import Message, ToolCall
from looprig.scenario import Turn, place_in
from looprig.tokens import Counter as TokenCounter
from looprig.tokens import counter, message_tokens
from looprig.trace import (
    Approval,
    Event,
    Reply,
    Request,
    Run,
    SessionEnded,
    SessionStarted,
    SystemAdded,
    ToolEnded,
    ToolStarted,
    TrimProbed,
    TurnEnded,
    TurnStarted,
)

Kind = Literal["system", "note", "user", "assistant", "result", "invented"]


class Entry:
    """One message of a session, with what it belongs to.

    ``kind`` is ``invented`` where nobody said the message; ``turn`` is the turn in which it first
    appeared; ``owner`` is, for a result, the entry of the assistant message that asked for it, and
    ``call`` the number of its call; ``index`` is where it stands in the current request, -1 where it
    does not. ``forgiven`` entries belong to a turn that failed: a loop may keep or undo such a turn.
    ``first_text`` is the hash of what a result said when it was sent first, where another text has taken its place.
    ``replaced`` entries are sent in another form (with an id of the loop's own, say), as an entry that has taken
    over their ``order``, which is what tells older from newer.
    """

    __slots__ = (
        "answered",
        "call",
        "first_text",
        "forgiven",
        "index",
        "kind",
        "message",
        "order",
        "owner",
        "position",
        "replaced",
        "tokens",
        "turn",
    )

    def __init__(self, position: int, message: Message, kind: Kind, turn: int, tokens: int) -> None:
        self.position = position
        self.order = position
        self.message = message
        self.kind: Kind = kind
        self.turn = turn
        self.tokens = tokens
        self.index = -1
        self.owner: Entry | None = None
        self.call = -1
        self.answered: list[int] | None = [0] * len(message.tool_calls) if message.tool_calls else None
        self.first_text: int | None = None
        self.forgiven = False
        self.replaced = False

    @property
    def kept(self) -> bool:
        """Whether the current request has the entry."""
        return self.index >= 0


class Entries(Protocol):
    """The messages of a request, in order: a list, or what stands in for one (see `looprig.settled`)."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Entry]: ...
    def __reversed__(self) -> Iterator[Entry]: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Entry: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Entry]: ...
    def extend(self, more: Iterable[Entry], /) -> None: ...


@dataclass(slots=True)
class SessionState:
    """One conversation so far."""

    number: int
    contract: Contract
    offers: tuple[str, ...]
    entries: Entries = field(default_factory=list[Entry])
    unsent: list[Entry] = field(default_factory=list)
    systems: list[Entry] = field(default_factory=list)
    lead: int = 0
    """How many system messages the first request began with."""
    added_systems: list[str] = field(default_factory=list)
    """System messages that the application added and no request has had yet."""
    newest_user: Entry | None = None
    user_before: Entry | None = None
    """The newest user message as of the request before."""
    user_seen: Entry | None = None
    newest_reply: Entry | None = None
    refused: list[str] = field(default_factory=list)
    tokens: int = 0
    notes: Counter[str | None] = field(default_factory=Counter)
    """How many notes of each name the current request has."""
    positions: int = 0
    turn: int = -1
    plan: Turn | None = None
    requests: int = 0
    memory: dict[str, Any] = field(default_factory=dict)
    """What invariants remember of the session from one request to the next, each under a name of its own."""


@dataclass(slots=True)
class RequestView:
    """A request, resolved.

    ``entries`` are its messages (the session's own list: valid until the next request). ``same`` counts
    the leading entries that the request before had too. ``judged`` are the entries to look at: the added
    ones, or all after a cut. ``dropped`` are entries that the request could have had and has not; ``gone`` holds
    forgiven ones too. ``before`` is the largest size that the history can have had before the cut.
    """

    number: int
    session: SessionState
    turn: TurnView
    event: Request
    entries: Entries
    same: int
    added: list[Entry]
    judged: Entries
    dropped: list[Entry]
    gone: list[Entry]
    cut: bool
    before: int
    tokens: int
    same_tokens: int
    probe: TrimProbed | None


@dataclass(slots=True)
class TurnView:
    """A turn that is over, with what happened in it."""

    session: SessionState
    turn: int
    plan: Turn
    started_s: float
    ended: TurnEnded | None = None
    requests: int = 0
    replies: list[Reply] = field(default_factory=list)
    asking: list[tuple[Reply, Entry]] = field(default_factory=list)
    """Replies that ask for tools, with their entries."""
    runs: list[ToolStarted] = field(default_factory=list)
    ends: dict[tuple[int, int], ToolEnded] = field(default_factory=dict)
    """How each tool run ended, by round and call."""
    approvals: list[Approval] = field(default_factory=list)
    said: int = 1
    """Messages that joined the conversation in this turn, the user's included."""


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session that is over."""

    session: SessionState
    event: SessionEnded


View = RequestView | TurnView | SessionView


class Observer:
    """Turns a run's events into views; feed it events in order."""

    def __init__(self) -> None:
        self._sessions: dict[int, SessionState] = {}
        self._turns: dict[int, TurnView] = {}
        self._probes: dict[int, TrimProbed] = {}
        self._turn_entries: dict[int, list[Entry]] = {}
        self._requests = 0
        self._count: TokenCounter = counter("estimate")

    def see(self, event: Event) -> View | None:
        """Take one event in; return the view that it completes, if it does."""
        match event:
            case Request():
                return self._request(event)
            case Reply():
                self._reply(event)
            case TurnStarted():
                self._turn_started(event)
            case TurnEnded():
                return self._turn_ended(event)
            case ToolStarted() | ToolEnded() | Approval():
                self._tool(event)
            case SystemAdded():
                self._sessions[event.session].added_systems.append(event.text)
            case TrimProbed():
                self._probes[event.session] = event
            case SessionStarted():
                self._sessions[event.session] = SessionState(event.session, event.contract, event.offers)
            case SessionEnded():
                return SessionView(self._sessions[event.session], event)
            case Run():
                self._count = counter(event.tokens)
        return None

    def given_up(self, session: int, after_s: float) -> None:
        """The user has left the running turn so many seconds after its start: it may end as one that is cancelled."""
        turn = self._turns[session]
        turn.plan = msgspec.structs.replace(turn.plan, cancel_after_s=after_s)

    def forget(self, session: int) -> None:
        """Keep nothing of a session that is over."""
        for known in (self._sessions, self._turns, self._probes, self._turn_entries):
            known.pop(session, None)

    # -- what is said ----------------------------------------------------------------------------

    def _entry(self, state: SessionState, message: Message, kind: Kind) -> Entry:
        entry = Entry(state.positions, message, kind, state.turn, message_tokens(message, self._count))
        state.positions += 1
        self._turn_entries.setdefault(state.number, []).append(entry)
        return entry

    def _say(self, state: SessionState, message: Message, kind: Kind) -> Entry:
        entry = self._entry(state, message, kind)
        state.unsent.append(entry)
        return entry

    def _turn_started(self, event: TurnStarted) -> None:
        state = self._sessions[event.plan.session]
        state.turn, state.plan = event.turn, event.plan
        self._turn_entries[state.number] = []
        state.newest_user = self._say(state, Message(role="user", content=event.plan.say), "user")
        state.newest_reply = None
        self._turns[state.number] = TurnView(state, event.turn, event.plan, event.at_s)

    def _reply(self, event: Reply) -> None:
        turn = self._turns[event.session]
        turn.replies.append(event)
        if event.message is None:
            return
        state = self._sessions[event.session]
        entry = self._say(state, event.message, "assistant")
        state.newest_reply = entry
        turn.said += 1
        if event.message.tool_calls:
            turn.asking.append((event, entry))

    def _tool(self, event: ToolStarted | ToolEnded | Approval) -> None:
        turn = self._turns.get(event.session)
        if turn is None:
            return
        match event:
            case ToolStarted():
                turn.runs.append(event)
            case ToolEnded():
                turn.ends[event.round, event.call] = event
            case Approval():
                turn.approvals.append(event)

    def _turn_ended(self, event: TurnEnded) -> TurnView:
        turn = self._turns[event.session]
        turn.ended = event
        state = turn.session
        if event.own and event.answer is not None:
            own = self._say(state, Message(role="assistant", content=event.answer), "assistant")
            own.forgiven = True  # what the user was shown may or may not be what the loop remembers
            if state.newest_reply is not None and not state.newest_reply.message.tool_calls:
                state.newest_reply.forgiven = True  # as above: one of the two is
            turn.said += 1
        failed = event.own and bool(turn.replies) and turn.replies[-1].fault is not None
        if event.status != "answered" or failed:
            for entry in self._turn_entries[state.number]:
                entry.forgiven = True
        if event.status == "refused":
            state.refused.append(turn.plan.say)
        return turn

    # -- requests --------------------------------------------------------------------------------

    def _request(self, event: Request) -> RequestView:
        state = self._sessions[event.session]
        turn = self._turns[event.session]
        turn.requests += 1
        self._requests += 1
        state.requests += 1
        state.user_before, state.user_seen = state.user_seen, state.newest_user
        new = [self._entry(state, message, self._kind(state, message)) for message in event.new]
        before_tokens, before_size = state.tokens, len(state.entries)
        unsent = state.unsent
        if event.extends:
            view = self._extend(state, event, new)
        else:
            view = self._cut(state, event, new)
        turn.said += _results(new)
        view.same_tokens = (
            before_tokens if view.same == before_size else sum(entry.tokens for entry in view.entries[: view.same])
        )
        view.before = _before(before_size, unsent, new)
        view.probe = self._probes.pop(event.session, None)
        state.unsent = []
        return view

    def _extend(self, state: SessionState, event: Request, new: list[Entry]) -> RequestView:
        same = len(state.entries)
        added = self._placed(state, (*state.unsent, *new), event)
        for index, entry in enumerate(added, same):
            entry.index = index
        state.entries.extend(added)
        self._resolve(state, added)
        for entry in added:
            state.tokens += entry.tokens
            if entry.kind == "note":
                state.notes[entry.message.name] += 1
        missing = [entry for entry in state.unsent if not entry.kept and not entry.replaced]
        judged = added if same else state.entries
        return self._view(state, event, same, added, judged, missing)

    def _cut(self, state: SessionState, event: Request, new: list[Entry]) -> RequestView:
        self._forget_lost_systems(state)
        old = [*state.entries, *state.unsent]
        entries = self._placed(state, (*old, *new), event)
        same = _common(state.entries, entries)
        was = set(map(id, state.entries))
        for entry in old:
            entry.index = -1
        for index, entry in enumerate(entries):
            entry.index = index
        state.entries = entries
        added = [entry for entry in entries if id(entry) not in was]
        self._resolve(state, added)
        for entry in entries:
            if entry.kind == "result" and id(entry) in was and (entry.owner is None or not entry.owner.kept):
                self._find_owner(state, entry)  # its call may have come back
        state.tokens = sum(entry.tokens for entry in entries)
        state.notes = Counter(entry.message.name for entry in entries if entry.kind == "note")
        _remember_first_texts(old, added)
        there = set(map(_place, entries))  # of a message that was sent twice, one may stay
        gone = [
            entry
            for entry in old
            if not entry.kept and not entry.replaced and entry.kind != "note" and _place(entry) not in there
        ]
        return self._view(state, event, same, added, entries, gone)

    def _forget_lost_systems(self, state: SessionState) -> None:
        """Let go of system messages whose loss has been judged; prompts that change at every request would pile up."""
        lost = [entry for entry in state.systems if not entry.kept]
        if lost:
            state.lead -= sum(1 for entry in state.systems[: state.lead] if not entry.kept)
            state.systems = [entry for entry in state.systems if entry.kept]

    def _view(
        self,
        state: SessionState,
        event: Request,
        same: int,
        added: list[Entry],
        judged: Entries,
        gone: list[Entry],
    ) -> RequestView:
        dropped = [entry for entry in gone if not entry.forgiven]
        return RequestView(
            number=self._requests,
            session=state,
            turn=self._turns[state.number],
            event=event,
            entries=state.entries,
            same=same,
            added=added,
            judged=judged,
            dropped=dropped,
            gone=gone,
            cut=bool(dropped) or not event.extends,
            before=0,
            tokens=state.tokens,
            same_tokens=0,
            probe=None,
        )

    def _placed(self, state: SessionState, known: Iterable[Entry], event: Request) -> list[Entry]:
        """Return the entries at the positions of a request; of several at one position the newest are taken."""
        at: dict[int, list[Entry]] = {}
        for entry in known:
            at.setdefault(entry.position, []).append(entry)
        placed: list[Entry] = []
        seen = {entry.position for entry in state.entries} if event.again else set()
        for position in reversed(positions_of(event.spans)):
            known_at = at.get(position)
            placed.append(known_at.pop() if known_at else self._again(state, position, event, position in seen))
            seen.add(position)
        return placed[::-1]

    def _again(self, state: SessionState, position: int, event: Request, repeated: bool) -> Entry:
        """Return the entry of a message that was dropped and has come back, or one of a message that is sent twice."""
        for entry in (state.newest_user, state.newest_reply):
            if entry is not None and entry.position == position and not repeated:
                return entry  # what is asked now is still being looked for
        message = next(message for at, message in event.again if at == position)
        kind: Kind = "result" if message.role == "tool" else "user" if message.role == "user" else "assistant"
        place = place_in(message.content)
        turn = place.turn if place is not None and place.session == state.number else -1
        if repeated and kind != "result":
            kind, turn = "invented", state.turn  # nobody said it twice
        return Entry(position, message, kind, turn, message_tokens(message, self._count))

    def _kind(self, state: SessionState, message: Message) -> Kind:
        if message.name is not None and message.name in state.contract.notes:
            return "note"
        if message.role == "system":
            return "system"
        return "result" if message.role == "tool" else "invented"

    def _resolve(self, state: SessionState, added: Iterable[Entry]) -> None:
        """Find out what the entries that have just joined a request belong to."""
        for entry in added:
            if entry.kind == "result" and entry.owner is None:
                self._find_owner(state, entry)
            elif entry.kind == "system":
                self._join_systems(state, entry)
            elif entry.kind == "invented":
                self._stand_in(state, entry)
            elif entry.kind == "assistant" and entry.turn == -1:
                self._close_failed_turn(state, entry)  # it may only happen to read like an earlier message
                if entry.turn == -1 and entry.index:
                    entry.turn = state.entries[entry.index - 1].turn

    def _find_owner(self, state: SessionState, entry: Entry) -> None:
        """A result belongs to the nearest call before it with its id; an open one is preferred to an answered one."""
        fallback: tuple[Entry, int] | None = None
        for index in range(entry.index - 1, -1, -1):
            candidate = state.entries[index]
            if candidate.answered is None:
                continue
            for number, call in enumerate(candidate.message.tool_calls):
                if call.id == entry.message.tool_call_id:
                    if not candidate.answered[number]:
                        return self._own(entry, candidate, number)
                    fallback = fallback or (candidate, number)
        if fallback is not None:
            self._own(entry, *fallback)
        return None

    def _own(self, entry: Entry, owner: Entry, number: int) -> None:
        entry.owner, entry.call = owner, number
        # The results of a turn that was given up come with the next one.
        entry.order, entry.turn, entry.forgiven = owner.order, owner.turn, owner.forgiven
        if owner.answered is not None:
            owner.answered[number] += 1

    def _join_systems(self, state: SessionState, entry: Entry) -> None:
        if entry in state.systems:
            return
        state.systems.append(entry)
        if entry.index == state.lead and state.requests == 1:
            state.lead += 1
        if entry.message.content in state.added_systems:
            state.added_systems.remove(entry.message.content)

    def _stand_in(self, state: SessionState, entry: Entry) -> None:
        """Find out whether an entry that nobody said is one that was said, in another form.

        An altered user message still is the newest user message: the alteration is one fault, not three.
        """
        for said in state.unsent:
            if not said.kept and not said.replaced and same_message(said.message, entry.message):
                entry.kind = said.kind
                self._replace(state, said, entry)
                return
        user = state.newest_user
        place = place_in(entry.message.content)
        if entry.message.role == "assistant":
            self._close_failed_turn(state, entry)
        elif user is not None and not user.kept and place is not None and place == place_in(user.message.content):
            self._replace(state, user, entry)

    def _replace(self, state: SessionState, said: Entry, entry: Entry) -> None:
        said.replaced = True
        entry.order, entry.turn, entry.forgiven = said.order, said.turn, said.forgiven
        if state.newest_user is said:
            state.newest_user = entry
        if state.user_seen is said:
            state.user_seen = entry
        if state.newest_reply is said:
            state.newest_reply = entry
        turn = self._turns[state.number]
        turn.asking = [(reply, entry if asked is said else asked) for reply, asked in turn.asking]

    def _close_failed_turn(self, state: SessionState, entry: Entry) -> None:
        """A loop may leave a message of its own behind a turn that failed, so that the roles alternate."""
        before = state.entries[entry.index - 1] if entry.index else None
        if before is not None and before.forgiven and not entry.message.tool_calls:
            entry.kind, entry.forgiven = "assistant", True
            entry.order, entry.turn = before.order, before.turn


def _before(size: int, unsent: Sequence[Entry], new: Sequence[Entry]) -> int:
    """Return the largest size the history can have had: all that was there, said, asked for and answered."""
    calls = sum(len(entry.message.tool_calls) for entry in unsent)
    results = _results(new)
    others = sum(1 for entry in new if entry.kind not in ("result", "note"))
    return size + len(unsent) + max(calls, results) + others


def _results(new: Iterable[Entry]) -> int:
    """Count the results that have just come in: one that another text has taken the place of came in before."""
    return sum(1 for entry in new if entry.kind == "result" and entry.first_text is None)


def _remember_first_texts(old: Iterable[Entry], added: Iterable[Entry]) -> None:
    """Find the results that were sent with another text in the request before."""
    gone = {_place(entry): entry for entry in old if entry.kind == "result" and not entry.kept}
    for entry in added:
        before = gone.get(_place(entry)) if entry.kind == "result" else None
        if before is not None and entry.owner is not None and entry.owner.answered is not None:
            entry.owner.answered[entry.call] -= 1  # It answers nothing anew.
            entry.first_text = hash(before.message.content) if before.first_text is None else before.first_text


def _place(entry: Entry) -> tuple[int, int]:
    return (entry.owner.position, entry.call) if entry.owner is not None else (entry.position, -1)


def _common(one: Iterable[Entry], other: Iterable[Entry]) -> int:
    """Count the leading messages that are equal: a prompt cache sees what is sent, not which entry it was."""
    same = 0
    for a, b in zip(one, other, strict=False):
        if a is not b and a.message != b.message:
            break
        same += 1
    return same


def same_message(said: Message, sent: Message) -> bool:
    """Say whether *sent* is *said* as some framework spells it: with ids of its own, or arguments written anew."""
    return (
        said.role == sent.role
        and len(said.tool_calls) == len(sent.tool_calls)
        and same_text(said.content, sent.content)
        and all(map(_same_call, said.tool_calls, sent.tool_calls))
    )


def _same_call(said: ToolCall, sent: ToolCall) -> bool:
    if said.name != sent.name:
        return False
    return said.arguments == sent.arguments or same_arguments(said.arguments, sent.arguments)


def same_arguments(one: str, other: str) -> bool:
    """Say whether two JSON texts hold the same object; no text at all means no arguments."""
    try:
        first, second = json.loads(one.strip() or "{}"), json.loads(other.strip() or "{}")
    except (ValueError, RecursionError):
        return False
    if not isinstance(first, dict) or not isinstance(second, dict):
        return False
    return first == second or same_text(_spelled(first), _spelled(second))


def _spelled(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


_SURROGATES = re.compile("[\ud800-\udfff]")
UNSENDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""Characters that many a provider, store or terminal cannot take: a loop may replace them, or leave them out."""


def same_text(said: str, given: str) -> bool:
    """Say whether *given* is *said*, apart from characters that nobody can be sent."""
    if said == given:
        return True
    if not UNSENDABLE.search(said):
        return False
    joined = said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    escaped = said.encode("utf-8", "backslashreplace").decode()
    return given in (joined, escaped) or any(
        given == pattern.sub(instead, said)
        for pattern in (_SURROGATES, UNSENDABLE)
        for instead in ("", " ", "?", "\ufffd")
    )


def views(events: Iterable[Event]) -> Iterator[View]:
    """Yield the views of a whole run, for example one read from a file."""
    observer = Observer()
    for event in events:
        view = observer.see(event)
        if view is not None:
            yield view


__all__ = [
    "UNSENDABLE",
    "Entries",
    "Entry",
    "Kind",
    "Observer",
    "RequestView",
    "SessionState",
    "SessionView",
    "TurnView",
    "View",
    "same_arguments",
    "same_message",
    "same_text",
    "views",
]
