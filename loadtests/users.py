"""Users who talk to a service: how one speaks to it, and when they come, which the plan says.

To load a service of your own, name a file like this one to ``looprig load --locustfile`` or to locust::

    from looprig.content import load, standard
    from looprig.load.turns import End, Text

    chat = load(standard("loadtests") / "users.py")

    class Support(chat.ChatUser):
        def turn(self, session, text):
            for event in self.stream(session, "POST", "/chat", {"visitor": session.number, "message": text}):
                if event.name == "token":
                    yield Text(event.data)
                elif event.name == "done":
                    yield End()

`ChatUser.turn` is all there is to override: it yields what comes back (see `looprig.load.turns`), at the moment when
it comes, and `End` when the answer is complete. A turn without `End` has failed. Arrivals, think time, latencies,
failures, workers and files are the same for every service.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any

import gevent
from gevent.event import Event as Flag
from gevent.pool import Group
from geventhttpclient.response import HTTPParseError
from locust import FastHttpUser, task
from locust.contrib.fasthttp import FastHttpSession
from locust.event import EventHook

from looprig.load.arrivals import TraceError
from looprig.load.talks import seed_of
from looprig.load.turns import End, Event, Stopwatch, Text, TurnFailed

from ._protocols import completion_events, session_events
from ._run import BrokenOff, Run
from ._sse import Reader, ServerEvent
from ._station import PlanError, read_plan, station_of

__all__ = ["ChatUser", "DirectChat", "PlanError", "Session", "SessionChat", "read_plan"]

logger = logging.getLogger("looprig.load")

SHOWN = ("ttft", "tpot", "e2e", "tool_chain", "trim_pause")
"""Metrics that have a row of their own in locust's table and web page."""

AFTER_FAILURE_S = 1.0
"""How long a user of a closed loop waits after a conversation that could not go on, so that nothing is hammered."""

LAST_BYTES_S = 2.0
"""How long the end of a response is waited for after its end marker, so that the connection can be used again."""


class Session:
    """One conversation of one user. ``state`` is for what a service of your own has to remember."""

    def __init__(self, number: int, seed: int, client: FastHttpSession) -> None:
        self.number = number
        self.seed = seed
        self.client = client
        """Has cookies of its own, and shares connections with the other sessions of the process."""
        self.id: str | None = None
        self.messages: list[dict[str, str]] = []
        self.state: dict[str, Any] = {}
        self.begin_turn()

    def begin_turn(self) -> None:
        """Forget of the stream before when it last brought something, and that it was complete."""
        self.arrived: float | None = None
        self.complete = False


class ChatUser(FastHttpUser):
    """Users of a chat service, of which a subclass says how a turn is asked and answered; see the module."""

    abstract = True
    network_timeout = 60.0

    # To override

    def turn(self, session: Session, text: str) -> Iterable[Event]:
        """Say *text*; yield what comes back, each event when it comes, and `End` when the answer is complete.

        Whatever this raises is a failed turn; `TurnFailed` says in its reason what it is counted as.
        """
        raise NotImplementedError("override turn(self, session, text)")

    def open(self, session: Session) -> None:
        """Begin a conversation, where the service has to be told."""

    def close(self, session: Session) -> None:
        """End a conversation, where the service has to be told."""

    # To use

    def stream(self, session: Session, method: str, path: str, body: Any = None) -> Iterator[ServerEvent]:
        """Yield the server-sent events that the service answers with.

        Raises:
            TurnFailed: where the service cannot be reached, answers with a status from 400 on, or the stream breaks.
        """
        response = self.ask(session, method, path, body, accept="text/event-stream", stream=True)
        raw = response._response
        reader = Reader(raw)
        session.arrived = reader.at
        try:
            for event in reader:
                session.arrived = reader.at
                yield event
        finally:
            _let_go(raw, session.complete)

    def ask(
        self,
        session: Session,
        method: str,
        path: str,
        body: Any = None,
        accept: str = "application/json",
        stream: bool = False,
    ) -> Any:
        """Return the answer to one request, sent with *body* as JSON.

        Raises:
            TurnFailed: where the service cannot be reached, or answers with a status from 400 on.
        """
        headers = {"Accept": accept, "Accept-Encoding": "identity"}  # a compressed stream arrives in blocks
        response = session.client.request(method, path, json=body, headers=headers, stream=stream)
        if response.status_code >= 400:
            raise TurnFailed(f"status {response.status_code}", _start_of(response))
        if (error := getattr(response, "error", None)) is not None:
            raise TurnFailed(_reason(error), str(error))
        return response

    # How users come

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._leave = Flag()
        """Set where locust wants this user to go."""
        self._wake = Flag()
        """Set as well where the run is over: ends a pause."""

    def stop(self, force: bool = False) -> Any:
        """Stop as locust wants it, also in the middle of a pause."""
        self._leave.set()
        self._wake.set()
        return super().stop(force)

    @property
    def load_run(self) -> Run:
        run = station_of(self.environment).run
        assert run is not None, "a master makes no load"
        return run

    @task
    def talk(self) -> None:
        """Lead this process's sessions, or be one user of a closed loop; then wait until locust ends us."""
        run = self.load_run
        run.begun.wait()
        try:
            if run.plan.users == "closed":
                self._stay(run)
            elif not run.led:  # a second user of this kind has nothing to do: the first has the whole share
                run.led = True
                self._lead(run)
        except BrokenOff:
            pass
        self._leave.wait()

    def _lead(self, run: Run) -> None:
        """Begin each session when it is due, whatever the others do."""
        sessions = Group()
        most = run.in_flight_most
        run.leading = True
        try:
            for number, due in run.schedule():
                while (pause := due - run.now) > 0 and not run.over.is_set():
                    run.over.wait(pause)
                if run.over.is_set() and due > run.now:
                    break
                run.recorder.observe("gen.send_lag", run.now - due, due)
                run.recorder.offered(due)
                if most is not None and len(sessions) >= most:
                    run.recorder.dropped(due)
                else:
                    run.owed += 1
                    sessions.spawn(self._converse, run, number, due)
        except TraceError as error:
            logger.error("the trace ends here: %s", error)
            run.recorder.fact("trace_error", str(error))
        finally:
            run.leading = False
        if run.ends_at is None:
            sessions.join()
            run.end(0.0, "unfinished")
        run.done.wait()

    def _stay(self, run: Run) -> None:
        """Have one conversation after the other."""
        run.wakers.add(self._wake)
        first = True
        while not self._wake.is_set() and not run.over.is_set():
            if not self._converse(run, run.next_number(), None, late=first):
                self._wake.wait(AFTER_FAILURE_S)
            first = False
        run.wakers.discard(self._wake)

    def _converse(self, run: Run, number: int, due: float | None, late: bool = False) -> bool:
        """Be the user of session *number*; *due* is when an arrival's first turn is. Say whether it went to its end."""
        client = FastHttpSession(
            base_url=run.plan.url,
            request_event=EventHook(),  # of nobody: turns are counted, not requests
            user=None,
            client_pool=run.pool,
        )
        session = Session(number, seed_of(run.plan, number), client)
        run.recorder.session()
        run.sessions += 1
        try:
            return self._turns(run, session, due, late)
        except BrokenOff:
            return True
        finally:
            run.sessions -= 1

    def _turns(self, run: Run, session: Session, due: float | None, late: bool) -> bool:
        manner = run.talks.manner(session.number)
        opened = False
        for turn, text in enumerate(run.talks.texts(session.number), 1):
            think_s, leaves_after = manner.next_turn()
            if due is None or turn > 1:
                if turn == 1:
                    think_s = manner.first_wait_s() if late else think_s
                    opened = self._opened_early(run, session)
                due = self._wait(run, think_s)
                if due is None:
                    return True
                if turn > 1:
                    run.recorder.observe("think", think_s, due)
            if not self._take_turn(run, session, text, turn, due, leaves_after, opened):
                return False
            opened = True
        if opened and not run.over.is_set():
            self._close(session)
        return opened

    def _opened_early(self, run: Run, session: Session) -> bool:
        """Open a session ahead of its first turn, as users of a closed loop do, who think first."""
        try:
            self.open(session)
        except Exception:
            return False  # the first turn tries again, and counts what goes wrong
        return True

    def _wait(self, run: Run, think_s: float) -> float | None:
        """Think; return when the next turn is due, or None where it is not to come.

        In a closed loop it is due when it is sent: nobody waits for it but the user.
        """
        closed = run.plan.users == "closed"
        stopped = self._wake if closed else run.over
        due = run.now + think_s
        if run.is_late(due):
            stopped.wait()  # they are still there, thinking, when the run is over
        while (pause := due - run.now) > 0 and not stopped.wait(pause):
            pass
        if stopped.is_set() or run.is_late(run.now if closed else due):
            return None
        run.recorder.observe("gen.send_lag", run.now - due, due)
        due = run.now if closed else due
        run.recorder.offered(due)
        run.owed += 1
        return due

    def _take_turn(
        self,
        run: Run,
        session: Session,
        text: str,
        turn: int,
        due: float,
        leaves_after: int | None,
        opened: bool,
    ) -> bool:
        """Have one turn and record it; say whether the conversation goes on."""
        me = gevent.getcurrent()
        recorder = run.recorder
        recorder.started(due)
        run.turns.add(me)
        watch: Stopwatch | None = None
        try:
            if not opened:
                self.open(session)
            watch = Stopwatch(run.zero + due, time.perf_counter())
            if self._follow(session, text, watch, leaves_after):
                recorder.cancelled(due, run.now, "abandoned")
            else:
                self._show(run, recorder.finished(watch, turn, due, run.now), watch)
        except BrokenOff as stop:
            recorder.cancelled(due, run.now, stop.reason)
            return False
        except gevent.GreenletExit:
            recorder.cancelled(due, run.now, "stopped")
            raise
        except Exception as error:
            self._failed(run, due, error)
            return isinstance(error, TurnFailed) and (opened or watch is not None) and not _gone(error)
        finally:
            run.turns.discard(me)
            run.owed -= 1
        return True

    def _follow(self, session: Session, text: str, watch: Stopwatch, leaves_after: int | None) -> bool:
        """Take the turn's events in; return whether the user left in the middle."""
        session.begin_turn()
        answer: Any = self.turn(session, text)
        if answer is None:
            raise TurnFailed("no events", "turn() must yield what comes back")
        try:
            for event in answer:
                at = session.arrived  # a stream's own note of when the network brought something
                watch.note(event, time.perf_counter() if at is None else at)
                if isinstance(event, End):
                    session.complete = True
                elif leaves_after is not None and watch.pieces >= leaves_after and watch.end is None:
                    return True
        finally:
            if (stop := getattr(answer, "close", None)) is not None:
                stop()
        if watch.end is None:
            raise TurnFailed("no end marker", "turn() came to its end without End()")
        return False

    def _failed(self, run: Run, due: float, error: Exception) -> None:
        if isinstance(error, TurnFailed):
            reason = error.reason
        else:
            reason = _reason(error)
            logger.error("turn() raised", exc_info=error)
        run.recorder.failed(due, run.now, reason)
        self._fire(run, (run.now - due) * 1000, 0, TurnFailed(reason))

    def _show(self, run: Run, metrics: dict[str, float], watch: Stopwatch) -> None:
        """Bring the turn into locust's table: itself as a request, and metrics in rows that no sum counts."""
        self._fire(run, metrics.get("e2e", 0.0) * 1000, watch.pieces, None)
        entries = self.environment.stats.entries
        for name in SHOWN:
            if name in metrics:
                entries[(name, "metric")].log(metrics[name] * 1000, 0)

    def _fire(self, run: Run, response_ms: float, pieces: int, error: Exception | None) -> None:
        self.environment.events.request.fire(
            request_type="turn",
            name=run.plan.talk.scenario,
            response_time=response_ms,
            response_length=pieces,
            exception=error,
            context={},
        )

    def _close(self, session: Session) -> None:
        try:
            self.close(session)
        except Exception as error:
            self.load_run.recorder.fact("close_failed", str(error)[:200])


class SessionChat(ChatUser):
    """Users of `looprig serve loop`."""

    abstract = True

    def open(self, session: Session) -> None:
        talk = self.load_run.plan.talk
        body = {"scenario": talk.scenario, "seed": session.seed, "parameters": talk.parameters}
        answer = self.ask(session, "POST", "/v1/sessions", body)
        try:
            session.id = str(answer.json()["id"])
        except (ValueError, KeyError, TypeError):
            raise TurnFailed("no session id", _start_of(answer)) from None

    def turn(self, session: Session, text: str) -> Iterator[Event]:
        path = f"/v1/sessions/{session.id}/turns"
        return session_events(self.stream(session, "POST", path, {"text": text}))

    def close(self, session: Session) -> None:
        self.ask(session, "DELETE", f"/v1/sessions/{session.id}")


class DirectChat(ChatUser):
    """Users of any OpenAI-compatible URL, `looprig serve model` for one; they send the whole conversation each turn."""

    abstract = True

    def turn(self, session: Session, text: str) -> Iterator[Event]:
        session.messages.append({"role": "user", "content": text})
        body = {
            "model": self.load_run.plan.model,
            "messages": session.messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        said: list[str] = []
        try:
            for event in completion_events(self.stream(session, "POST", "/v1/chat/completions", body)):
                if isinstance(event, Text):
                    said.append(event.text)
                yield event
        finally:
            # What was not answered is not part of the conversation, as in any client that failed.
            if said and session.complete:
                session.messages.append({"role": "assistant", "content": "".join(said)})
            else:
                session.messages.pop()


def _reason(error: Exception) -> str:
    """Return the word that an exception of the network, or of a user's own code, is counted as."""
    number = getattr(error, "errno", None)
    if number in (errno.EMFILE, errno.ENFILE):
        return "too many open files"
    if isinstance(error, TimeoutError | gevent.Timeout):
        return "timeout"
    if isinstance(error, OSError | HTTPParseError | ConnectionError):
        return "no connection"
    return type(error).__name__


def _gone(error: TurnFailed) -> bool:
    """Say whether a conversation is over with this failure: there is nobody to go on with."""
    return error.reason in ("no connection", "too many open files", "status 404", "status 410")


def _start_of(response: Any) -> str:
    """Return the beginning of an answer's text, as far as it came."""
    try:
        return str(response.text or "")[:200]
    except Exception:  # it is only for a message
        return ""


def _let_go(raw: Any, complete: bool) -> None:
    """Give the connection back where the response came to its end, else close it, which tells the service."""
    if raw is None:
        return
    if complete and not raw.message_complete:
        with gevent.Timeout(LAST_BYTES_S, False):
            try:
                while raw.readline(b"\n"):
                    pass
            except (OSError, HTTPParseError):
                pass
    raw.release()
