"""Drives a loop through a scenario, and writes down what happens.

Between the two clock readings around a turn stands the call to the loop and nothing else; what looprig's own
model and tools cost inside of it is measured there and taken off.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from looprig.clock import Clock, Deadlock, VirtualClock, awaited
from looprig.invariants import Checker, Violation
from looprig.loop import Contract
from looprig.messages import Message
from looprig.metrics import Meter
from looprig.observe import Observer, View
from looprig.retained import retained_bytes
from looprig.scenario import Scenario, Turn
from looprig.script import ScriptedModel, ScriptedTools, Session, TurnStopped
from looprig.subject import (
    LoopError,
    answer_text,
    blamed,
    contract_of,
    described,
    for_providers,
    has,
    history_of,
    is_coroutine_function,
    make_loop,
    open_calls,
    statistics_of,
)
from looprig.trace import (
    Event,
    Misuse,
    Noise,
    Recording,
    Request,
    Run,
    RunEnded,
    SessionEnded,
    SessionStarted,
    SystemAdded,
    TraceError,
    Trimmed,
    TurnEnded,
    TurnStarted,
    TurnStatus,
)
from looprig.version import __version__

_NOT_THE_LOOPS = (KeyboardInterrupt, GeneratorExit)
"""What comes from the person at the keyboard or from the interpreter; all else that a turn raises, SystemExit too, ends
that turn and not the rig."""

OPTIONAL = ("history", "add_system", "trim", "observe", "statistics", "close")

TURN_LIMIT_S = 60.0
"""Real seconds that one turn may take before it is stopped: a loop that never ends must fail, not hang."""


@dataclass(slots=True)
class Outcome:
    """What one run showed.

    ``broken`` counts violations by code, of which ``violations`` holds the first; ``unusable`` says why the
    run is no verdict on the loop (the loop used looprig's model or tools wrongly, or never asked the model).
    """

    scenario: str
    seed: int
    params: Mapping[str, int | float | str | bool]
    loop: str
    metrics: dict[str, float] = field(default_factory=dict)
    judgements: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)
    waived: dict[str, int] = field(default_factory=dict)
    statistics: dict[str, float | int | str] = field(default_factory=dict)
    offers: tuple[str, ...] = ()
    digest: str = ""
    trace: Path | None = None
    unusable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run: where to record to (None for nowhere), the token counter, whether to judge, the contract.

    ``contract`` stands in for what the loop itself declares; ``providers`` are added to those that it names.
    ``on_turn`` is told how many turns are done. ``watch`` is told of each event as it happens, with the view that it
    completed: for what is neither an invariant nor a metric.
    """

    trace: Path | None = None
    tokens: str = "estimate"
    judge: bool = True
    contract: Contract | None = None
    providers: tuple[str, ...] = ()
    turn_limit_s: float = TURN_LIMIT_S
    on_turn: Callable[[int], None] | None = None
    watch: Callable[[Event, View | None], None] | None = None


class _Sink:
    """Where events go. What goes wrong here is kept for the runner, since a loop could swallow an exception."""

    def __init__(self, options: RunOptions, outcome: Outcome) -> None:
        self.outcome = outcome
        self.recording = Recording(options.trace)
        self.checker = Checker() if options.judge else None
        self.meter = Meter()
        self.failure: Exception | None = None
        self.requests = 0
        self._observer = Observer()
        self._watch = options.watch

    def emit(self, event: Event) -> None:
        if self.failure is not None:
            return
        try:
            self.recording.write(event)
            if isinstance(event, Misuse):
                self.outcome.unusable = self.outcome.unusable or event.text
            elif isinstance(event, Request):
                self.requests += 1
            view = self._observer.see(event)
            self.meter.see(event, view)
            if view is not None and self.checker is not None:
                self.checker.see(view)
            if self._watch is not None:
                self._watch(event, view)
        except Exception as error:
            self.failure = error

    def finish(self) -> Outcome:
        outcome = self.outcome
        outcome.digest = self.recording.digest()
        self.emit(RunEnded(digest=outcome.digest))
        if self.failure is not None:
            raise self.failure
        outcome.metrics = self.meter.values()
        if self.checker is not None:
            outcome.judgements = dict(self.checker.judgements)
            outcome.violations = self.checker.violations
            outcome.broken = dict(self.checker.broken)
            outcome.waived = dict(self.checker.waived)
        return outcome


class _Listener:
    """Hears of appends and trims; keeps two numbers a turn, whatever the length of the conversation."""

    def __init__(self, session: Session, trigger: int | None) -> None:
        self._session = session
        self._trigger = trigger
        self.length = 0
        self.heard = False
        self.peak = 0
        self.above = 0

    def appended(self, length: int) -> None:
        self.heard = True
        self._settle()
        self.length = length
        self.peak = max(self.peak, length)

    def trimmed(self, before: int, after: int, pause_ns: int) -> None:
        self.length = after
        self._session.emit(Trimmed(session=self._session.number, before=before, after=after))
        self._session.emit(Noise(session=self._session.number, trim_ns=int(pause_ns)))

    def _settle(self) -> None:
        """Count the last append, now that any trim after it is over."""
        if self._trigger is not None and self.length > self._trigger:
            self.above += 1

    def take(self) -> tuple[int | None, int | None, int | None]:
        """Return length, peak and appends above the trigger of the turn that ends, and begin anew."""
        if not self.heard:
            return None, None, None
        told = self.length, max(self.peak, self.length), self.above if self._trigger is not None else None
        self.peak = self.above = 0
        return told


@dataclass(slots=True)
class _Seat:
    """A loop at its place in the rig."""

    session: Session
    loop: Any
    listener: _Listener
    apart: tuple[object, ...]
    """What the loop was given: it is not the loop's own."""


def run(
    scenario: Scenario,
    factory: Callable[..., Any],
    *,
    loop: str = "loop",
    clock: Clock | None = None,
    options: RunOptions | None = None,
) -> Outcome:
    """Play *scenario* against the loops that *factory* makes, and return what that showed.

    ``loop`` is the name of the loop in reports. Time is virtual unless *clock* says otherwise.

    Raises:
        LoopError: where the loop cannot be driven at all.
        TraceError: where the recording cannot be written.
    """
    options = options or RunOptions()
    clock = clock or VirtualClock()
    outcome = Outcome(scenario.name, scenario.seed, scenario.params, loop, trace=options.trace)
    sink = _Sink(options, outcome)
    player = _Player(scenario, factory, clock, sink, options)
    sink.emit(
        Run(
            looprig=__version__,
            scenario=scenario.name,
            seed=scenario.seed,
            params=scenario.params,
            loop=loop,
            clock=clock.name,
            tokens=options.tokens,
        )
    )
    try:
        player.play()
        return sink.finish()
    finally:
        sink.recording.close()


class _Player:
    def __init__(
        self, scenario: Scenario, factory: Callable[..., Any], clock: Clock, sink: _Sink, options: RunOptions
    ) -> None:
        self._scenario = scenario
        self._factory = factory
        self._clock = clock
        self._sink = sink
        self._options = options
        self._seats: dict[int, _Seat] = {}
        self._deadline = float("inf")
        self._events: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._playing: tuple[_Seat, int] | None = None
        """The turn that is being played."""
        self._late: TurnStopped | None = None
        """Why it was to be stopped, where it was."""

    def play(self) -> None:
        """Play all turns, then take leave of the loops."""
        if not len(self._scenario.turns):
            raise LoopError(f"the scenario {self._scenario.name} has no turns with these settings; nothing was run")
        self._events = self._clock.event_loop()
        try:
            with self._watchdog(), self._clock.installed():
                first = self._seat(self._scenario.turns[0].session)
                if is_coroutine_function(first.loop.send):
                    self._play_in(self._events)
                else:
                    self._play_sync()
            self._leave()
        finally:
            hung, self._stopped = self._stopped, True
            with contextlib.suppress(Deadlock, TurnStopped):
                self._events.run_until_complete(_wound_up(self._events))
            self._events.close()
        self._raise_failure()
        if not self._sink.requests and self._sink.outcome.unusable is None and not hung:
            raise LoopError(
                f"the loop never called the model in {len(self._scenario.turns)} turns{self._first_error()}; "
                "a factory gets (model, tools), and its loop's send(text) has to ask model.complete(messages) "
                "or await model.acomplete(messages)"
            )

    def _first_error(self) -> str:
        checker = self._sink.checker
        found = next((v for v in checker.violations if v.code == "LR151"), None) if checker else None
        return f" (turn {found.turn}: {found.because})" if found else ""

    # -- one turn --------------------------------------------------------------------------------

    def _play_sync(self) -> None:
        for number, plan in enumerate(self._scenario.turns):
            seat = self._begin(number, plan)
            started = time.thread_time_ns()
            try:
                result = seat.loop.send(plan.say)
                if inspect.isawaitable(result):
                    assert self._events is not None
                    result = self._events.run_until_complete(awaited(result, plan.cancel_after_s))
                spent_ns = time.thread_time_ns() - started
                self._end(seat, number, "answered", spent_ns, result)
            except _NOT_THE_LOOPS:
                raise
            except BaseException as error:
                self._end_badly(seat, number, time.thread_time_ns() - started, error)
            if self._is_over(number):
                return

    def _play_in(self, events: asyncio.AbstractEventLoop) -> None:
        try:
            events.run_until_complete(self._play_async())
        except (Deadlock, TurnStopped) as error:
            # It came up in the event loop itself and not in the loop's code, so that no turn could catch it.
            if self._playing is None:
                raise
            self._end_badly(*self._playing, 0, error)

    async def _play_async(self) -> None:
        for number, plan in enumerate(self._scenario.turns):
            # Also without a pause the event loop gets its turn, as it does in a program that waits for its user.
            await self._clock.asleep(plan.pause_s)
            seat = self._begin(number, plan)
            started = time.thread_time_ns()
            try:
                result = await awaited(seat.loop.send(plan.say), plan.cancel_after_s)
                spent_ns = time.thread_time_ns() - started
                self._end(seat, number, "answered", spent_ns, result)
            except _NOT_THE_LOOPS:
                raise
            except BaseException as error:
                self._end_badly(seat, number, time.thread_time_ns() - started, error)
            if self._is_over(number):
                return

    def _begin(self, number: int, plan: Turn) -> _Seat:
        seat = self._seat(plan.session)
        session = seat.session
        if plan.pause_s and self._events is not None and not self._events.is_running():
            self._clock.sleep(plan.pause_s)
        if has(seat.loop, "add_system"):
            for text in plan.system:
                session.emit(SystemAdded(session=session.number, text=text))
                with blamed("add_system"):
                    seat.loop.add_system(text)
        session.begin(number, plan)
        session.emit(TurnStarted(turn=number, plan=plan, at_s=self._clock.now()))
        session.rig_ns = 0
        self._playing, self._late = (seat, number), None
        self._deadline = time.monotonic() + self._options.turn_limit_s
        return seat

    def _end(self, seat: _Seat, number: int, status: TurnStatus, spent_ns: int, result: object) -> None:
        if seat.session.stopped is not None:
            self._end_badly(seat, number, spent_ns, seat.session.stopped)
            return
        answer = answer_text(result)
        last = seat.session.last_reply
        own = last is None or last.content != answer
        self._record_end(seat, number, status, spent_ns, answer=answer, own=own)

    def _end_badly(self, seat: _Seat, number: int, spent_ns: int, error: BaseException) -> None:
        self._deadline = float("inf")
        if self._stopped:
            return  # the end of this turn is written already
        status: TurnStatus = "raised"
        error = seat.session.stopped or error
        if isinstance(error, TurnStopped | Deadlock):
            status = "stopped"
            self._stopped = True
            error = self._late or error
        elif isinstance(error, asyncio.CancelledError):
            status = "cancelled"
        elif not seat.session.requests_in_turn:
            status = "refused"
        self._record_end(seat, number, status, spent_ns, error=described(error))

    def _record_end(
        self,
        seat: _Seat,
        number: int,
        status: TurnStatus,
        spent_ns: int,
        *,
        answer: str | None = None,
        own: bool = False,
        error: str | None = None,
    ) -> None:
        session = seat.session
        history, peak, above = seat.listener.take()
        if own and answer is not None:
            session.ledger.say(Message(role="assistant", content=answer))
        session.emit(Noise(session=session.number, turn_ns=max(0, spent_ns - session.rig_ns)))
        session.emit(
            TurnEnded(
                session=session.number,
                turn=number,
                status=status,
                at_s=self._clock.now(),
                answer=answer,
                own=own,
                error=error,
                history=history,
                peak=peak,
                above_trigger=above,
            )
        )
        if self._options.on_turn is not None:
            self._options.on_turn(number + 1)

    def _is_over(self, number: int) -> bool:
        """Whether to stop early: the rest of the run would show nothing."""
        self._deadline = float("inf")
        self._playing = None
        return self._stopped or self._sink.failure is not None or self._sink.outcome.unusable is not None

    def _raise_failure(self) -> None:
        if self._sink.failure is not None:
            raise self._sink.failure

    # -- sessions --------------------------------------------------------------------------------

    def _seat(self, number: int) -> _Seat:
        if number not in self._seats:
            self._seats[number] = self._make(number)
        return self._seats[number]

    def _make(self, number: int) -> _Seat:
        early: list[Event] = []
        session = Session(number, self._scenario, self._clock, early.append)
        model, tools = ScriptedModel(session), ScriptedTools(session)
        loop = make_loop(self._factory, model, tools)
        if early:
            raise LoopError(
                "the loop called the model or a tool while it was being made, when nobody had said anything yet; "
                "it may do so in send(text) only"
            )
        session.tell(self._sink.emit)
        contract = for_providers(self._options.contract or contract_of(loop), self._options.providers)
        session.trim = loop.trim if has(loop, "trim") else None
        session.ledger.mask = contract.mask
        listener = _Listener(session, contract.trigger)
        if has(loop, "observe"):
            with blamed("observe"):
                loop.observe(listener)
        offers = tuple(name for name in OPTIONAL if has(loop, name))
        if is_coroutine_function(loop.send):
            offers = (*offers, "async")
        self._sink.outcome.offers = offers
        session.emit(SessionStarted(session=number, contract=contract, offers=offers))
        rig = (model, tools, *tools.values(), session, listener, self._clock, self._events)
        return _Seat(session, loop, listener, rig)

    def _leave(self) -> None:
        for seat in self._seats.values():
            with blamed("history"):
                history = history_of(seat.loop)
            number = seat.session.number
            with blamed("statistics"):
                statistics = statistics_of(seat.loop)
            _add_up(self._sink.outcome.statistics, statistics)
            seat.session.emit(
                Noise(
                    session=number,
                    retained_bytes=retained_bytes(seat.loop, seat.apart),
                    statistics=statistics or None,
                )
            )
            seat.session.emit(
                SessionEnded(
                    session=number,
                    history=None if history is None else len(history),
                    open_calls=open_calls(history or ()),
                )
            )
            self._close(seat.loop)

    def _close(self, loop: Any) -> None:
        if has(loop, "close"):
            with blamed("close"):
                result = loop.close()
                if inspect.isawaitable(result) and self._events is not None:
                    self._events.run_until_complete(awaited(result))

    # -- turns that never end --------------------------------------------------------------------

    @contextlib.contextmanager
    def _watchdog(self) -> Iterator[None]:
        """Stop a turn that takes too much real time, where the platform and the embedding program allow an alarm."""
        usable = (
            hasattr(signal, "SIGALRM")
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        )
        if not usable:
            yield
            return
        signal.signal(signal.SIGALRM, self._alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _alarm(self, _number: int, _frame: FrameType | None) -> None:
        if time.monotonic() > self._deadline:
            # An event loop only logs what is raised in one of its callbacks; then it is said again, and kept as the
            # cause if the loop hangs because of it.
            self._deadline = time.monotonic() + 1.0
            self._late = TurnStopped(f"it took more than {self._options.turn_limit_s:g} s of real time")
            raise self._late


async def _wound_up(events: asyncio.AbstractEventLoop) -> None:
    """Cancel what the loop left running, and give it a few cycles to end; what swallows that is left behind."""
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    await events.shutdown_asyncgens()


def _add_up(total: dict[str, float | int | str], statistics: Mapping[str, float | int | str]) -> None:
    """Add a session's figures to those of the run: counts add up, maxima are the largest, the rest is the last's."""
    for name, value in statistics.items():
        so_far = total.get(name)
        if isinstance(value, str) or not isinstance(so_far, int | float):
            total[name] = value
        elif name.endswith("max_s"):
            total[name] = max(so_far, value)
        elif "." in name:
            total[name] = so_far + value
        else:
            total[name] = value


def recorded_scenario(path: Path) -> tuple[Run, Scenario]:
    """Read back what a recording was made from: its first event, and the scenario with the texts of that time.

    Raises:
        TraceError: where the file is no whole recording.
    """
    from looprig.trace import read

    head: Run | None = None
    turns: list[Turn] = []
    for event in read(path):
        if isinstance(event, Run):
            head = event
        elif isinstance(event, TurnStarted):
            turns.append(event.plan)
    if head is None:
        raise TraceError(f"{path} holds no run")
    return head, Scenario(name=head.scenario, seed=head.seed, params=head.params, turns=turns)
