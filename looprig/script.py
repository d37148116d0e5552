"""The scripted model and tools: they play a scenario's script at the model boundary.

The next reply is a function of the script and of the last message of the request: a user's
message and a tool's result carry their place in the scenario, and the reply to a place is
known. So a trim in the middle of a turn, a retry or a thousand sessions at once cannot
put the model out of step. The one thing it counts is how often a round was asked for in the
current turn, because a planned fault meets only the first so many requests.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec

from looprig.clock import Clock
from looprig.ledger import Ledger
from looprig.loop import Chunk, ModelError, Trim
from looprig.messages import Message, message_from_dict
from looprig.scenario import (
    Fault,
    Place,
    PlannedCall,
    Round,
    Scenario,
    Turn,
    place_in,
    place_of,
    result_text,
    tool_call,
)
from looprig.toolbox import TOOLBOX, ToolSpec
from looprig.trace import Approval, Event, Misuse, Reply, Request, ToolEnded, ToolStarted, TrimProbed

HANG_S = 3600.0
HUGE_CHARS = 2_000_000
STATUS = {"rate_limit": 429, "server_error": 500, "bad_request": 400}
NOTHING_TO_ANSWER = "(There is nothing here that I can answer.)"


class TurnStopped(BaseException):
    """Ends a turn that would not end; not an `Exception`, so that a loop's ``except Exception`` lets it through."""


class ToolFailed(RuntimeError):
    """What a tool raises whose script says that it fails."""


class Session:
    """What the model, the tools and the runner of one conversation share."""

    cpu_ns = staticmethod(time.thread_time_ns)
    """What the rig's own work is taken off by; reading it may cost more than that work."""

    def __init__(self, number: int, scenario: Scenario, clock: Clock, emit: Callable[[Event], None]) -> None:
        self.number = number
        self.clock = clock
        self.ledger = Ledger(number)
        self.trim: Trim | None = None
        self.turn = -1
        self.plan: Turn | None = None
        self.requests_in_turn = 0
        self.last_reply: Message | None = None
        self.stopped: TurnStopped | None = None
        """Why looprig ended the turn, where it did: a framework may swallow what is raised, or raise another thing."""
        self.rig_ns = 0
        self._attempts: dict[int, int] = {}
        self._scenario = scenario
        self._emit = emit
        self._lock = threading.RLock()  # a loop may run tools in threads

    def emit(self, event: Event) -> None:
        with self._lock:
            self._emit(event)

    def tell(self, emit: Callable[[Event], None]) -> None:
        """Send events to *emit* from now on."""
        self._emit = emit

    def begin(self, turn: int, plan: Turn) -> None:
        """Turn number *turn* starts."""
        self.turn, self.plan = turn, plan
        self.requests_in_turn = 0
        self.last_reply = self.stopped = None
        self._attempts.clear()
        self.ledger.say(Message(role="user", content=plan.say))

    def planned(self, turn: int) -> Turn | None:
        """Return turn number *turn* of the scenario, or None where there is none."""
        if turn == self.turn:
            return self.plan
        return self._scenario.turns[turn] if 0 <= turn < len(self._scenario.turns) else None

    def planned_call(self, place: Place | None) -> PlannedCall | None:
        """Return the call that the scenario plans at *place*, or None where it plans none."""
        turn = self.planned(place.turn) if place is not None else None
        if place is None or turn is None or not 0 <= place.round < len(turn.rounds):
            return None
        calls = turn.rounds[place.round].calls
        return calls[place.call] if place.call < len(calls) else None

    def attempt(self, round_: int) -> int:
        """Count a request for a round of this turn; the first is 0."""
        attempt = self._attempts.get(round_, 0)
        self._attempts[round_] = attempt + 1
        return attempt

    def misused(self, text: str) -> TypeError:
        """Record that the loop did what looprig cannot serve, out of the loop's reach; return the error to raise."""
        self.emit(Misuse(session=self.number, text=text))
        return TypeError(text)


def reply_at(plan: Turn, place: Place) -> tuple[int, Message]:
    """Return the model's reply after *place*, and its round; rounds are counted from 0, and the answer is the last."""
    round_ = place.round + 1
    if round_ < len(plan.rounds):
        return round_, _asking(plan.rounds[round_], Place(place.session, place.turn, round_))
    return len(plan.rounds), Message("assistant", f"[#s{place.session}t{place.turn}] {plan.answer}")


def _asking(planned: Round, place: Place) -> Message:
    calls = tuple(tool_call(call, place._replace(call=number)) for number, call in enumerate(planned.calls))
    return Message(role="assistant", content=planned.text, tool_calls=calls)


def locate(messages: Sequence[Message], session: int, turn: int, plan: Turn | None) -> Place | None:
    """Return the place of what a request asks the model to answer, or None where there is nothing to answer.

    A model that is left with nothing but its instructions begins again, as agents do whose trim has dropped the
    whole current turn (EuniAI/Prometheus#126).
    """
    last = messages[-1] if messages else None
    if last is None or last.role == "system":
        last = next((message for message in reversed(messages) if message.role != "system"), None)
    if last is None:
        return Place(session, turn) if plan is not None else None
    if last.role == "assistant":
        return None
    if last.role == "user":
        found = place_in(last.content)
        if found is None and plan is not None and last.content == plan.say:
            return Place(session, turn)  # an odd text without a marker
        return found
    return place_of(last.tool_call_id or "") or place_in(last.content) or _asked_before(messages)


def _asked_before(messages: Sequence[Message]) -> Place | None:
    """Read the place from the arguments of the calls that the last results answer.

    For frameworks that rewrite ids, where the result is an error text of their own.
    """
    for message in reversed(messages):
        if message.tool_calls:
            refs = (_parsed(call.arguments).get("ref") for call in message.tool_calls)
            return next((place_of(ref) for ref in refs if isinstance(ref, str)), None)
    return None


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        arguments = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return arguments if isinstance(arguments, dict) else {}


class _Plan(NamedTuple):
    """What the model is about to do."""

    place: Place | None
    round: int
    message: Message
    delay_s: float
    chunks: int
    fault: Fault | None


class ScriptedModel:
    """Plays the model's part of a scenario for one session; see `looprig.loop.Model`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._snapshots: list[Any] = []
        self._converted: list[Message] = []

    def complete(self, messages: Any) -> Any:
        """Return the next reply."""
        plan = self._receive(messages)
        self._session.clock.sleep(plan.delay_s)
        return self._answer(plan, messages)

    async def acomplete(self, messages: Any) -> Any:
        """Return the next reply; the delay is awaited."""
        plan = self._receive(messages)
        if plan.delay_s:
            await self._wait(plan, plan.delay_s)
        return self._answer(plan, messages)

    def stream(self, messages: Sequence[Message]) -> Iterator[Chunk]:
        """Yield the next reply in pieces; the last piece has the whole message."""
        plan = self._receive(messages)
        for text in pieces(plan.message.content, plan.chunks):
            self._session.clock.sleep(plan.delay_s / plan.chunks)
            yield Chunk(text)
        yield Chunk("", self._deliver(plan))

    async def astream(self, messages: Sequence[Message]) -> AsyncIterator[Chunk]:
        """Yield the next reply in pieces; the delays are awaited."""
        plan = self._receive(messages)
        for text in pieces(plan.message.content, plan.chunks):
            if plan.delay_s:
                await self._wait(plan, plan.delay_s / plan.chunks)
            yield Chunk(text)
        yield Chunk("", self._deliver(plan))

    def refused(self, messages: Sequence[Any]) -> None:
        """Record a request that nobody answers, because a provider has refused it; it is judged like any other."""
        session = self._session
        session.emit(self._numbered(self._read(messages)))
        session.requests_in_turn += 1
        self._stop_if_endless()

    async def _wait(self, plan: _Plan, seconds: float) -> None:
        try:
            await self._session.clock.asleep(seconds)
        except BaseException:
            self._failed(plan, "abandoned")
            raise

    def _answer(self, plan: _Plan, messages: Sequence[Any]) -> Any:
        message = self._deliver(plan)
        return message if isinstance(messages[0], Message) else message.to_dict()

    def _receive(self, native: Any) -> _Plan:
        """Read a request, record it, and find what comes next; raise what the scenario plans to fail."""
        started = self._session.cpu_ns()
        session = self._session
        messages = self._read(native)
        before = session.ledger.remembered() if session.trim is not None else []
        request = self._numbered(messages)
        if session.trim is not None and not request.extends:
            new = (
                message for message in request.new if message.role != "tool" or message.content != session.ledger.mask
            )
            session.emit(probe(session.trim, [*before, *new], session.number))
        session.emit(request)
        plan = self._plan(messages)
        session.requests_in_turn += 1
        self._stop_if_endless()
        session.rig_ns += session.cpu_ns() - started
        if plan.fault is not None and plan.fault.kind != "timeout":
            self._failed(plan, plan.fault.kind)
            raise ModelError(STATUS[plan.fault.kind], f"planned by the scenario ({plan.fault.kind})")
        return plan

    def _numbered(self, messages: list[Message]) -> Request:
        """Write the request; a `Message` checks nothing when it is made, so what is new in it is checked here."""
        try:
            request = self._session.ledger.request(messages, self._session.turn)
            msgspec.convert(msgspec.to_builtins(request.new, builtin_types=(bytes,)), tuple[Message, ...])
        except (TypeError, msgspec.ValidationError) as error:
            raise self._session.misused(
                f"the loop called the model with a message whose fields have wrong types: {error}"
            ) from None
        return request

    def _plan(self, messages: Sequence[Message]) -> _Plan:
        session = self._session
        place = locate(messages, session.number, session.turn, session.plan)
        turn = session.planned(place.turn) if place is not None else None
        if place is None or turn is None:
            return _Plan(None, -1, Message(role="assistant", content=NOTHING_TO_ANSWER), 0.0, 1, None)
        round_, message = reply_at(turn, place)
        delay_s = turn.rounds[round_].delay_s if round_ < len(turn.rounds) else turn.delay_s
        attempt = session.attempt(round_)
        fault = next((fault for fault in turn.faults if fault.round == round_ and attempt < fault.times), None)
        if fault is not None and fault.kind == "timeout":
            delay_s = fault.delay_s
        return _Plan(place, round_, message, delay_s, turn.chunks, fault)

    def _deliver(self, plan: _Plan) -> Message:
        started = self._session.cpu_ns()
        session = self._session
        session.ledger.say(plan.message)
        session.last_reply = plan.message
        session.emit(
            Reply(
                session=session.number,
                turn=plan.place.turn if plan.place is not None else -1,
                round=plan.round,
                at_s=session.clock.now(),
                message=plan.message,
            )
        )
        session.rig_ns += session.cpu_ns() - started
        return plan.message

    def _failed(self, plan: _Plan, fault: str) -> None:
        session = self._session
        turn = plan.place.turn if plan.place is not None else -1
        session.emit(Reply(session=session.number, turn=turn, round=plan.round, at_s=session.clock.now(), fault=fault))

    def _stop_if_endless(self) -> None:
        session = self._session
        if session.plan is None or session.requests_in_turn <= requests_allowed(session.plan):
            return
        session.stopped = TurnStopped(
            f"the turn asked the model {session.requests_in_turn} times; its script has far fewer rounds"
        )
        raise session.stopped

    def _read(self, native: Any) -> list[Message]:
        """Return the request as messages of our own, in a list of our own."""
        if not isinstance(native, Sequence) or isinstance(native, str | bytes) or not native:
            raise self._session.misused(
                f"the loop called the model with {_kind(native)}; it takes a list of at least one message "
                "(looprig.messages.Message values or chat-completions dicts)"
            )
        kinds = set(map(type, native))
        if kinds == {Message}:
            return list(native)
        return self._read_dicts(native)

    def _read_dicts(self, native: Sequence[Any]) -> list[Message]:
        """Convert dicts; those that are as they were in the request before are not converted again."""
        same = len(self._snapshots)
        known: dict[Message, Message] = {}
        if not (len(native) >= same and list(native[:same]) == self._snapshots):
            # An equal message stays the same object: what is converted again is no copy of the loop's.
            known = {message: message for message in self._converted}
            self._snapshots, self._converted, same = [], [], 0
        for entry in native[same:]:
            message = self._convert(entry)
            self._converted.append(known.get(message, message))
            # The loop may change its dicts later, so that only a copy tells what was sent.
            self._snapshots.append(_snapshot(entry))
        return list(self._converted)

    def _convert(self, entry: Any) -> Message:
        if isinstance(entry, Message):
            return entry
        if not isinstance(entry, Mapping):
            raise self._session.misused(
                f"the loop called the model with a message of type {type(entry).__name__}; "
                "it takes looprig.messages.Message values or chat-completions dicts"
            )
        try:
            return message_from_dict(entry)
        except ValueError as error:
            raise self._session.misused(f"the loop called the model with a message it cannot read: {error}") from None


def _snapshot(entry: Any) -> Any:
    try:
        return deepcopy(entry)
    except Exception:
        return object()  # it holds what cannot be copied, and equals nothing: the entry is converted each time


def requests_allowed(plan: Turn) -> int:
    """Return how many requests a turn may make before looprig stops it: a generous multiple of its script."""
    return 2 * (len(plan.rounds) + 1 + sum(fault.times for fault in plan.faults)) + 20


def _kind(value: object) -> str:
    return "an empty list" if isinstance(value, Sequence) and not value else f"a value of type {type(value).__name__}"


def pieces(text: str, count: int) -> list[str]:
    size = max(1, -(-len(text) // count))
    return [text[start : start + size] for start in range(0, len(text), size)] or [""]


def probe(trim: Trim, history: list[Message], session: int) -> TrimProbed:
    """Try a loop's pure trim on *history*: is it idempotent and deterministic, and does it leave its input alone?"""
    given = list(history)
    try:
        once = list(trim(given))
        untouched = given == history
        again = list(trim(list(history)))
        twice = list(trim(list(once)))
    except Exception as error:
        return TrimProbed(session=session, not_deterministic=f"trim raised {type(error).__name__}: {error}")
    return TrimProbed(
        session=session,
        not_idempotent=""
        if twice == once
        else f"trimming {len(history)} messages leaves {len(once)}, trimming these leaves {len(twice)}",
        input_changed=""
        if untouched
        else f"the list of {len(history)} messages given to trim has {len(given)} afterwards",
        not_deterministic=""
        if again == once
        else f"the same {len(history)} messages were trimmed to {len(once)}, then to {len(again)} others",
    )


class Described:
    """What a loop is told of a tool."""

    def __init__(self, spec: ToolSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.description = spec.description
        self.category = spec.category
        self.reads, self.writes = spec.reads, spec.writes

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON schema of the arguments, made when it is asked for: a loop may change what it gets."""
        return self.spec.parameters()


T = TypeVar("T")


class Belt(Mapping[str, T]):
    """The tools of `looprig.toolbox` by their names, each made by *make* when it is first asked for."""

    def __init__(self, make: Callable[[ToolSpec], T]) -> None:
        self._make = make
        self._tools: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        tool = self._tools.get(name)
        if tool is None:
            tool = self._tools[name] = self._make(TOOLBOX[name])
        return tool

    def __contains__(self, name: object) -> bool:
        return name in TOOLBOX

    def __iter__(self) -> Iterator[str]:
        return iter(TOOLBOX)

    def __len__(self) -> int:
        return len(TOOLBOX)


class ScriptedTool(Described):
    """Plays one tool's part of a scenario; see `looprig.loop.Tool`."""

    def __init__(self, session: Session, spec: ToolSpec) -> None:
        super().__init__(spec)
        self._session = session

    def run(self, arguments: Any = None, /, **inputs: Any) -> object:
        """Run the tool with a mapping of arguments, or with keyword arguments."""
        place, planned = self._start(inputs if arguments is None else arguments)
        try:
            self._session.clock.sleep(duration_s(planned))
        finally:
            self._end(place, planned)
        return outcome_of(place, planned)

    async def arun(self, arguments: Any = None, /, **inputs: Any) -> object:
        """Run the tool; its duration is awaited."""
        place, planned = self._start(inputs if arguments is None else arguments)
        try:
            if seconds := duration_s(planned):
                await self._session.clock.asleep(seconds)
        except asyncio.CancelledError:
            self._record_end(place, "cancelled")
            raise
        self._end(place, planned)
        return outcome_of(place, planned)

    __call__ = run

    def _start(self, arguments: Any) -> tuple[Place | None, PlannedCall | None]:
        session = self._session
        if not isinstance(arguments, Mapping):
            raise session.misused(
                f"the loop ran the tool {self.name} with {_kind(arguments)}; it takes a mapping of arguments "
                "(the parsed JSON of the call) or keyword arguments"
            )
        started = self._session.cpu_ns()
        ref = arguments.get("ref")
        place = place_of(ref) if isinstance(ref, str) else None
        planned = session.planned_call(place)
        session.emit(
            ToolStarted(
                session=session.number,
                name=self.name,
                arguments=_shown(arguments),
                at_s=session.clock.now(),
                turn=place.turn if place else -1,
                round=place.round if place else -1,
                call=place.call if place else -1,
            )
        )
        session.rig_ns += session.cpu_ns() - started
        return place, planned

    def _end(self, place: Place | None, planned: PlannedCall | None) -> None:
        self._record_end(place, "raised" if planned is not None and planned.outcome == "raise" else "ok")

    def _record_end(self, place: Place | None, outcome: str) -> None:
        session = self._session
        session.emit(
            ToolEnded(
                session=session.number,
                outcome=outcome,
                at_s=session.clock.now(),
                turn=place.turn if place else -1,
                round=place.round if place else -1,
                call=place.call if place else -1,
            )
        )


def _shown(arguments: Mapping[Any, Any]) -> str:
    """Return the arguments as JSON; what JSON cannot hold, as Python writes it."""
    try:
        return json.dumps(dict(arguments), default=repr)
    except (TypeError, ValueError, RecursionError):
        return repr(arguments)


def duration_s(planned: PlannedCall | None) -> float:
    if planned is None:
        return 0.0
    return HANG_S if planned.outcome == "hang" else planned.duration_s


def outcome_of(place: Place | None, planned: PlannedCall | None) -> object:
    if place is None or planned is None:
        return "(The scenario plans nothing for this call.)"
    if planned.outcome == "raise":
        raise ToolFailed(result_text(place, planned))
    if planned.outcome == "unserialisable":
        return {"handle": object()}
    text = result_text(place, planned)
    return text.ljust(HUGE_CHARS, ".") if planned.outcome == "huge" else text


class ScriptedTools(Belt[ScriptedTool]):
    """The rig's tools for one session; see `looprig.loop.Tools`."""

    def __init__(self, session: Session) -> None:
        super().__init__(partial(ScriptedTool, session))
        self._session = session

    def approve(self, call_id: str, name: str, arguments: str | Mapping[str, Any]) -> bool:
        """Answer as the scenario plans; a call that the scenario does not know is denied."""
        ref = (arguments if isinstance(arguments, Mapping) else _parsed(arguments)).get("ref")
        place = place_of(str(call_id)) or (place_of(ref) if isinstance(ref, str) else None)
        planned = self._session.planned_call(place)
        granted = planned is not None and planned.approve
        self._session.emit(
            Approval(
                session=self._session.number,
                name=name,
                granted=granted,
                turn=place.turn if place else -1,
                round=place.round if place else -1,
                call=place.call if place else -1,
            )
        )
        return granted
