"""A scenario laid out to be timed: the same replies and results, with next to nothing around the loop.

`looprig.runner` watches a loop, which costs many times what a lean loop costs itself. Here nothing is watched: the
model looks a reply up in a table, and a tool its result. What is left to measure is the loop. What the script says,
and when, is what the runner plays; only `ModelError` and slow or failing tools take a way of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import pickle
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Self

from looprig.clock import Clock, Deadlock, VirtualClock, awaited
from looprig.loop import Chunk, ModelError
from looprig.messages import Message, message_from_dict
from looprig.scenario import Fault, Place, PlannedCall, Scenario, Turn, place_in, place_of
from looprig.script import (
    NOTHING_TO_ANSWER,
    STATUS,
    Belt,
    Described,
    TurnStopped,
    duration_s,
    locate,
    outcome_of,
    pieces,
    reply_at,
    requests_allowed,
)
from looprig.subject import has, is_coroutine_function, make_loop
from looprig.toolbox import ToolSpec

_ENDS = (TurnStopped, Deadlock)
"""After these the runner plays no further turn."""

_TURN_ENDS = (Exception, SystemExit, asyncio.CancelledError)
"""These end a turn, as they do in a run."""

NO_STOPS: Mapping[int, Callable[[], None]] = MappingProxyType({})


def pack(scenario: Scenario) -> bytes:
    """Return *scenario* with all its turns, for a process that need not make it anew."""
    return pickle.dumps(frozen(scenario))


def unpack(packed: bytes) -> Scenario:
    """Return what `pack` packed."""
    scenario = pickle.loads(packed)  # noqa: S301 - it comes from the process that started this one
    assert isinstance(scenario, Scenario)
    return scenario


def frozen(scenario: Scenario) -> Scenario:
    """Return *scenario* with its turns made, so that no playing of it pays for that."""
    return Scenario(name=scenario.name, seed=scenario.seed, params=scenario.params, turns=tuple(scenario.turns))


def messages_of(turn: Turn) -> int:
    """Return how many messages *turn* adds to the conversation, as its script has it."""
    return 2 + len(turn.system) + sum(1 + len(planned.calls) for planned in turn.rounds)


@dataclass(frozen=True, slots=True)
class _Step:
    """What the model does at one place."""

    message: Message
    round: int = -1
    delay_s: float = 0.0
    chunks: int = 1
    faults: tuple[Fault, ...] = ()


_NOTHING = _Step(Message(role="assistant", content=NOTHING_TO_ANSWER))


@dataclass(frozen=True, slots=True)
class _Call:
    """What a tool does at one place; ``text`` is what it returns, where it does nothing else."""

    place: Place | None = None
    planned: PlannedCall | None = None
    seconds: float = 0.0
    text: str | None = None


@dataclass(slots=True)
class _Script:
    """What all sessions and all plays share: the turns, and what was looked up in them."""

    turns: Sequence[Turn]
    clock: Clock
    steps: dict[str, _Step] = field(default_factory=dict)
    calls: dict[str, _Call] = field(default_factory=dict)

    def look_up(self, ref: object) -> _Call:
        """Return what the call with this id does, and keep it."""
        place = place_of(ref) if isinstance(ref, str) else None
        planned = self._planned(place) if place is not None else None
        call = _Call(place, planned, duration_s(planned))
        if isinstance(ref, str) and place is not None and planned is not None:
            if planned.outcome == "ok":
                call = _Call(place, planned, call.seconds, str(outcome_of(place, planned)))
            self.calls[ref] = call
        return call

    def _planned(self, place: Place) -> PlannedCall | None:
        if not 0 <= place.turn < len(self.turns) or not 0 <= place.round < len(self.turns[place.turn].rounds):
            return None
        calls = self.turns[place.turn].rounds[place.round].calls
        return calls[place.call] if place.call < len(calls) else None


class _Read(Sequence[Message]):
    """A request, read where it is looked at: that is its end, and the rest may be long."""

    def __init__(self, entries: Sequence[Any]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: Any) -> Any:
        entry = self._entries[index]
        return entry if isinstance(entry, Message) else message_from_dict(entry)


class _Model:
    """The model of one session; see `looprig.loop.Model`."""

    def __init__(self, script: _Script, number: int) -> None:
        self._script = script
        self._number = number
        self._turn = -1
        self._left = 0
        self._attempts: dict[int, int] = {}

    def begin(self, turn: int) -> None:
        self._turn = turn
        self._left = requests_allowed(self._script.turns[turn])
        self._attempts.clear()

    def complete(self, messages: Any) -> Any:
        step = self._step(messages)
        if step.delay_s:
            self._script.clock.sleep(step.delay_s)
        return step.message if type(messages[0]) is Message else step.message.to_dict()

    async def acomplete(self, messages: Any) -> Any:
        step = self._step(messages)
        if step.delay_s:
            await self._script.clock.asleep(step.delay_s)
        return step.message if type(messages[0]) is Message else step.message.to_dict()

    def stream(self, messages: Sequence[Message]) -> Iterator[Chunk]:
        step = self._step(messages)
        for text in pieces(step.message.content, step.chunks):
            self._script.clock.sleep(step.delay_s / step.chunks)
            yield Chunk(text)
        yield Chunk("", step.message)

    async def astream(self, messages: Sequence[Message]) -> AsyncIterator[Chunk]:
        step = self._step(messages)
        for text in pieces(step.message.content, step.chunks):
            if step.delay_s:
                await self._script.clock.asleep(step.delay_s / step.chunks)
            yield Chunk(text)
        yield Chunk("", step.message)

    def refused(self, messages: Sequence[Any]) -> None:
        self._count()

    def _step(self, messages: Sequence[Any]) -> _Step:
        self._count()
        last = messages[-1]
        if type(last) is Message:
            key = last.tool_call_id if last.role == "tool" else last.content
        else:
            key = last.get("tool_call_id") or last.get("content")
        step = self._script.steps.get(key) if type(key) is str else None
        if step is None:
            step = self._looked_up(messages)
        return self._disturbed(step) if step.faults else step

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TurnStopped("the turn asked the model far more often than its script has rounds")

    def _looked_up(self, messages: Sequence[Any]) -> _Step:
        read = _Read(messages)
        turns = self._script.turns
        place = locate(read, self._number, self._turn, turns[self._turn] if self._turn >= 0 else None)
        if place is None or not 0 <= place.turn < len(turns):
            return _NOTHING
        plan = turns[place.turn]
        round_, message = reply_at(plan, place)
        delay_s = plan.rounds[round_].delay_s if round_ < len(plan.rounds) else plan.delay_s
        faults = tuple(fault for fault in plan.faults if fault.round == round_)
        step = _Step(message, round_, delay_s, plan.chunks, faults)
        self._remember(read[-1], step)
        return step

    def _remember(self, last: Message, step: _Step) -> None:
        """Keep what was looked up, where the key says its place by itself, whatever else the request holds."""
        if last.role == "tool" and place_of(last.tool_call_id or "") is not None:
            self._script.steps[last.tool_call_id or ""] = step
        elif last.role == "user" and place_in(last.content) is not None:
            self._script.steps[last.content] = step

    def _disturbed(self, step: _Step) -> _Step:
        attempt = self._attempts.get(step.round, 0)
        self._attempts[step.round] = attempt + 1
        fault = next((fault for fault in step.faults if attempt < fault.times), None)
        if fault is None:
            return step
        if fault.kind == "timeout":
            return _Step(step.message, step.round, fault.delay_s, step.chunks)
        raise ModelError(STATUS[fault.kind], f"planned by the scenario ({fault.kind})")


class _Tool(Described):
    """A tool of one session; see `looprig.loop.Tool`."""

    def __init__(self, script: _Script, spec: ToolSpec) -> None:
        super().__init__(spec)
        self._script = script

    def run(self, arguments: Any = None, /, **inputs: Any) -> object:
        call = self._call(inputs if arguments is None else arguments)
        if call.seconds:
            self._script.clock.sleep(call.seconds)
        return call.text if call.text is not None else outcome_of(call.place, call.planned)

    async def arun(self, arguments: Any = None, /, **inputs: Any) -> object:
        call = self._call(inputs if arguments is None else arguments)
        if call.seconds:
            await self._script.clock.asleep(call.seconds)
        return call.text if call.text is not None else outcome_of(call.place, call.planned)

    __call__ = run

    def _call(self, arguments: Mapping[str, Any]) -> _Call:
        ref = arguments.get("ref")
        known = self._script.calls.get(ref) if type(ref) is str else None
        return known if known is not None else self._script.look_up(ref)


class _Tools(Belt[_Tool]):
    """The tools of one session; see `looprig.loop.Tools`."""

    def __init__(self, script: _Script) -> None:
        super().__init__(partial(_Tool, script))
        self._script = script

    def approve(self, call_id: str, name: str, arguments: str | Mapping[str, Any]) -> bool:
        planned = self._script.look_up(str(call_id)).planned
        return planned is not None and planned.approve


@dataclass(slots=True)
class _Seat:
    loop: Any
    model: _Model


class Workload:
    """One loop and one scenario, ready to be played again and again; a context manager.

    Each `play` makes fresh loops, as a run does. Nothing is checked or recorded: that the loop is right is the
    runner's to say.
    """

    def __init__(self, factory: Callable[..., Any], scenario: Scenario, clock: Clock | None = None) -> None:
        self._factory = factory
        self._script = _Script(tuple(scenario.turns), clock or VirtualClock())
        self._events: asyncio.AbstractEventLoop | None = None
        self._stack = contextlib.ExitStack()
        self.failed = 0
        """How many turns ended in an exception, in all plays."""
        self.first_failure: BaseException | None = None

    def __enter__(self) -> Self:
        clock = self._script.clock
        self._events = clock.event_loop()
        self._stack.callback(self._events.close)
        self._stack.enter_context(clock.installed())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def play(self, stops: Mapping[int, Callable[[], None]] = NO_STOPS) -> None:
        """Play the scenario once; a stop is called before the turn of its number, the last one after the last turn."""
        assert self._events is not None, "a workload is entered before it is played"
        seats: dict[int, _Seat] = {}
        first = self._seat(seats, self._script.turns[0].session)
        if is_coroutine_function(first.loop.send):
            self._events.run_until_complete(self._aplay(seats, stops))
        else:
            self._play(seats, stops)
        for seat in seats.values():
            if has(seat.loop, "close"):
                result = seat.loop.close()
                if inspect.isawaitable(result):
                    self._events.run_until_complete(awaited(result, None))

    def _play(self, seats: dict[int, _Seat], stops: Mapping[int, Callable[[], None]]) -> None:
        assert self._events is not None
        for number, plan in enumerate(self._script.turns):
            if number in stops:
                stops[number]()
            seat = self._begin(seats, number, plan)
            try:
                result = seat.loop.send(plan.say)
                if inspect.isawaitable(result):
                    self._events.run_until_complete(awaited(result, plan.cancel_after_s))
            except _ENDS:
                break
            except _TURN_ENDS as error:
                self._fail(error)
        if len(self._script.turns) in stops:
            stops[len(self._script.turns)]()

    async def _aplay(self, seats: dict[int, _Seat], stops: Mapping[int, Callable[[], None]]) -> None:
        for number, plan in enumerate(self._script.turns):
            if number in stops:
                stops[number]()
            seat = self._begin(seats, number, plan)
            try:
                await awaited(seat.loop.send(plan.say), plan.cancel_after_s)
            except _ENDS:
                break
            except _TURN_ENDS as error:
                self._fail(error)
        if len(self._script.turns) in stops:
            stops[len(self._script.turns)]()

    def _fail(self, error: BaseException) -> None:
        self.failed += 1
        self.first_failure = self.first_failure or error

    def _begin(self, seats: dict[int, _Seat], number: int, plan: Turn) -> _Seat:
        seat = self._seat(seats, plan.session)
        if plan.system and has(seat.loop, "add_system"):
            for text in plan.system:
                seat.loop.add_system(text)
        seat.model.begin(number)
        return seat

    def _seat(self, seats: dict[int, _Seat], number: int) -> _Seat:
        seat = seats.get(number)
        if seat is None:
            model = _Model(self._script, number)
            loop = make_loop(self._factory, model, _Tools(self._script))
            seat = seats[number] = _Seat(loop, model)
        return seat
