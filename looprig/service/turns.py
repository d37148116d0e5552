"""The turns of all sessions: begun, played in the event loop or in a thread, and ended, whatever comes in between."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence

from looprig.messages import Message
from looprig.scenario import Turn
from looprig.script import TurnStopped
from looprig.service.crew import Crew
from looprig.service.events import Ended, Wire
from looprig.service.judging import Bench
from looprig.service.scripts import Scripts
from looprig.service.seat import Live, Seat
from looprig.service.sessions import Full, Sessions
from looprig.service.settings import Settings
from looprig.service.tally import Tally
from looprig.serving.flow import until
from looprig.serving.pacing import cut
from looprig.subject import LoopError, answer_text, blamed, described, has
from looprig.trace import SystemAdded, TurnEnded, TurnStarted, TurnStatus

RETRY_S = 1.0
"""What a client is told to wait when too many turns run."""


class Busy(Exception):
    """A turn of this session runs already."""


class Turns:
    """Those that run, and how a turn goes."""

    def __init__(self, settings: Settings, scripts: Scripts, sessions: Sessions, bench: Bench, tally: Tally) -> None:
        self._settings, self._scripts, self._sessions = settings, scripts, sessions
        self._bench, self._tally = bench, tally
        self._crew = Crew(settings.bounds.threads)
        self.running: set[Live] = set()

    def admit(self, seat: Seat | None) -> None:
        """Say whether a turn may begin, in a session or in one that is yet to be made.

        Raises:
            Busy: where a turn of the session runs.
            Full: where as many turns run as may.
        """
        if seat is not None and seat.live is not None:
            raise Busy(f"a turn of session {seat.id} runs already; read its answer to the end, or close its connection")
        if len(self.running) >= self._settings.bounds.turns:
            self._tally.turns["refused"] += 1
            raise Full(f"{len(self.running)} turns run, as many as may at one time", RETRY_S)

    def begin(self, seat: Seat, text: str, wire: Wire, systems: bool = True) -> Live:
        """Begin the next turn of a session, in which the user says *text*; *systems*: after the scenario's messages.

        Raises:
            LoopError: where the loop does not take a system message of the scenario.
        """
        plan = self._scripts.get(seat.key).plan(seat.number, seat.turns, text)
        if systems and plan.system and has(seat.loop, "add_system"):
            self.add_systems(seat, plan.system)
        live = self._begun(seat, plan, wire)
        self.running.add(live)
        self._tally.turns["started"] += 1
        return live

    def add_systems(self, seat: Seat, texts: Sequence[str]) -> None:
        """Add system messages to a conversation, as its application does.

        Raises:
            LoopError: where the loop takes none.
        """
        if texts and not has(seat.loop, "add_system"):
            raise LoopError("this loop takes no system messages: it has no method add_system(text)")
        for text in texts:
            seat.talk.emit(SystemAdded(session=seat.number, text=text))
            with blamed("add_system"):
                seat.loop.add_system(text)

    def _begun(self, seat: Seat, plan: Turn, wire: Wire) -> Live:
        talk, number = seat.talk, seat.turns
        live = Live(seat, number, plan, wire, self._sessions.clock.now())
        seat.live = live
        seat.turns += 1
        seat.listener.pause_ns = 0
        self._sessions.used(seat)
        talk.begin(number, plan)
        talk.emit(TurnStarted(turn=number, plan=plan, at_s=live.started_s))
        return live

    async def play(self, live: Live) -> None:
        """Play a turn to its end; its outbox has all of it then. Nothing is raised."""
        try:
            await self._play(live)
        finally:
            self.running.discard(live)
            live.outbox.close()

    async def _play(self, live: Live) -> None:
        seat, answer = live.seat, None
        status: TurnStatus = "answered"
        error: BaseException | None = None
        try:
            if live.stall_s:
                await until(asyncio.get_running_loop().time() + live.stall_s)
            answer = await self._said(seat, live.plan.say)
        except GeneratorExit:
            raise
        except BaseException as raised:
            error = raised
        if seat.talk.stopped is not None:
            error = seat.talk.stopped
        if error is not None:
            answer, status = None, _status(error, live)
        self._end(live, status, answer, error)

    async def _said(self, seat: Seat, text: str) -> str:
        if seat.threaded:
            result = await self._crew.run(lambda: seat.loop.send(text))
        else:
            result = seat.loop.send(text)
        if inspect.isawaitable(result):
            result = await result
        return answer_text(result)

    async def replay(self, seat: Seat, text: str, answer: str, wire: Wire) -> None:
        """Bring a loop to where its conversation is: the user says *text*, and the model answers *answer*.

        Raises:
            Exception: whatever the loop raises.
        """
        live = self._begun(seat, Turn(say=text, answer=answer, session=seat.number, may_be_refused=True), wire)
        live.muted = True
        try:
            said = await self._said(seat, text)
        except BaseException as error:
            self._record(live, _status(error, live), None, error)
            raise
        self._record(live, "answered", said, None)

    # -- the end -------------------------------------------------------------------------------------

    def leave(self, live: Live) -> None:
        """The client has left: the turn is cancelled; one in a thread cannot be, and ends by itself."""
        if live.left_s is not None or live not in self.running:
            return
        live.left_s = self._sessions.clock.now()
        live.outbox.close(torn=True)
        if not live.seat.threaded and live.task is not None:
            live.task.cancel()

    def give_up(self, live: Live) -> None:
        """The service ends, and takes the turn with it; the client is told."""
        live.left_s = self._sessions.clock.now()
        if not live.seat.threaded and live.task is not None:
            live.task.cancel()
        elif live.seat.threaded:
            live.outbox.put(live.wire.failed("Stopping", "the service has ended"))
            live.outbox.close()

    def stop(self, live: Live, why: str) -> None:
        """End a turn that takes too long; of one in a thread this is seen when it next asks the model."""
        if live.stopping or live not in self.running:
            return
        live.stopping = True
        live.seat.talk.stopped = TurnStopped(why)
        if not live.seat.threaded and live.task is not None:
            live.task.cancel()

    def watch(self, now: float) -> None:
        """Stop the turns that take too long."""
        limit_s = self._settings.bounds.turn_s
        for live in tuple(self.running):
            if now - live.started_s > limit_s:
                self.stop(live, f"it took more than {limit_s:g} s")

    def _end(self, live: Live, status: TurnStatus, answer: str | None, error: BaseException | None) -> None:
        tally, seat = self._tally, live.seat
        own = self._record(live, status, answer, error)
        tally.turn_s += self._sessions.clock.now() - live.started_s
        tally.tool_s += live.tool_s
        tally.trim_pause_s += seat.listener.pause_ns / 1e9
        tally.requests += live.requests
        tally.tokens_out += live.output_tokens
        tally.sessions["mixed"] += live.mixed
        tally.misuse = tally.misuse or seat.misuse
        if live.torn:
            tally.faults["cut"] += 1
        if live.left_s is not None:
            tally.turns["cancelled"] += 1
        elif status == "answered":
            tally.turns["finished"] += 1
        else:
            tally.turns["failed"] += 1
        if answer is None:
            live.outbox.put(live.wire.failed(type(error).__name__, described(error) if error is not None else ""))
            return
        if own and answer and not live.shown:
            live.outbox.put(live.wire.texts(cut(answer)))
        live.outbox.put(live.wire.ended(self._ended(live, answer)))

    def _record(self, live: Live, status: TurnStatus, answer: str | None, error: BaseException | None) -> bool:
        """Write down how a turn ended, and judge it; return whether the answer is the loop's own."""
        seat, talk, now = live.seat, live.seat.talk, self._sessions.clock.now()
        last = talk.last_reply
        own = answer is not None and (last is None or last.content != answer)
        if own and answer is not None:
            talk.ledger.say(Message(role="assistant", content=answer))
        status = self._given_up(live, status, now)
        talk.emit(
            TurnEnded(
                session=seat.number,
                turn=live.number,
                status=status,
                at_s=now,
                answer=answer,
                own=own,
                error=described(error) if error is not None else None,
                history=seat.listener.length if seat.listener.heard else None,
            )
        )
        seat.live = None
        self._sessions.used(seat)
        if live.view is not None:
            self._bench.rests(live.view, seat.ledger)
        return own

    def _given_up(self, live: Live, status: TurnStatus, now: float) -> TurnStatus:
        """Tell the judges of a client that has left: what ends is cancelled, what answers all the same is a finding.

        How long a loop took to obey is not judged here: it is the time of a machine under load.
        """
        if live.left_s is None:
            return status
        if status != "answered":
            self._bench.given_up(live.seat.number, max(0.0, now - live.started_s))
            return "cancelled"
        if not live.seat.threaded:
            self._bench.given_up(live.seat.number, max(0.0, live.left_s - live.started_s))
        return status

    def _ended(self, live: Live, answer: str) -> Ended:
        seat = live.seat
        messages, chars = seat.remembered(answer)
        return Ended(
            session=seat.id,
            turn=live.number,
            answer=answer,
            rounds=live.rounds,
            requests=live.requests,
            history_messages=messages,
            history_chars=chars,
            trim_pause_s=seat.listener.pause_ns / 1e9 if "observe" in seat.offers else None,
            tool_s=round(live.tool_s, 6),
            input_tokens=live.input_tokens,
            output_tokens=live.output_tokens,
            violations=sorted(set(live.broken)),
        )


def _status(error: BaseException, live: Live) -> TurnStatus:
    if isinstance(error, TurnStopped):
        return "stopped"
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return "raised" if live.requests else "refused"
