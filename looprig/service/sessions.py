"""The sessions of a service: made, found, and closed when nobody speaks to them any more."""

from __future__ import annotations

import asyncio
import inspect
import math
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from looprig.clock import RealClock, awaited
from looprig.runner import OPTIONAL
from looprig.script import ScriptedTools, TurnStopped
from looprig.service.judging import Bench
from looprig.service.model import PacedModel
from looprig.service.scripts import Key, Scripts
from looprig.service.seat import Seat, Talk
from looprig.service.settings import Settings
from looprig.service.tally import Tally
from looprig.subject import (
    LoopError,
    blamed,
    contract_of,
    described,
    has,
    history_of,
    is_coroutine_function,
    make_loop,
    open_calls,
)
from looprig.trace import SessionEnded, SessionStarted


class Full(Exception):
    """There is no room; in some seconds there may be."""

    def __init__(self, text: str, retry_s: float) -> None:
        super().__init__(text)
        self.retry_s = max(1, math.ceil(retry_s))


class ServiceClock(RealClock):
    """Real time, in which nobody sleeps through the end of the service."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def sleep(self, seconds: float) -> None:
        """Wait in a thread."""
        if self.over.wait(seconds):
            raise TurnStopped("the service has ended")


class Sessions:
    """All open sessions, those that were spoken to last at the end."""

    def __init__(self, settings: Settings, scripts: Scripts, bench: Bench, tally: Tally) -> None:
        self._settings, self._scripts, self._bench, self._tally = settings, scripts, bench, tally
        self._open: OrderedDict[str, Seat] = OrderedDict()
        self._warm: dict[bytes, Seat] = {}
        self._number = 0
        self._leaving: set[asyncio.Future[Any]] = set()
        self.clock = ServiceClock()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Seat]:
        return iter(tuple(self._open.values()))

    def get(self, ident: str) -> Seat | None:
        """Return the session of an id, or None."""
        return self._open.get(ident)

    def try_out(self, key: Key) -> None:
        """Make a loop and a script that nobody will use, to find out whether they can be made.

        Raises:
            LoopError, Unknown, BadScenario: where they cannot.
        """
        self._scripts.get(key)
        seat = self._seated(-1, "", key)
        self._bench.forget(-1)
        self._take_leave(seat)

    def open(self, key: Key) -> Seat:
        """Make a loop for a new session that plays the script of *key*.

        Raises:
            Full: where there are as many as there may be.
            Unknown, BadScenario: where there is no such script.
            LoopError: where no loop can be made.
        """
        now = self.clock.now()
        if len(self._open) >= self._settings.bounds.sessions:
            self._make_room(now)
        self._scripts.get(key)
        number, self._number = self._number, self._number + 1
        seat = self._seated(number, f"{number}-{secrets.token_hex(6)}", key)
        seat.used_s = now
        self._open[seat.id] = seat
        self._tally.sessions["opened"] += 1
        return seat

    def _make_room(self, now: float) -> None:
        self.expire(now)
        if len(self._open) < self._settings.bounds.sessions:
            return
        resting = next((seat for seat in self._open.values() if seat.warm is not None and seat.live is None), None)
        if resting is None:
            self._tally.sessions["refused"] += 1
            oldest = next((seat.used_s for seat in self._open.values()), now)
            raise Full(
                f"{len(self._open)} sessions are open, as many as there may be; close some, or ask again later",
                oldest + self._settings.bounds.idle_s - now,
            )
        self.close(resting)  # whoever brings all of a conversation along loses nothing

    def _seated(self, number: int, ident: str, key: Key) -> Seat:
        talk = Talk(number, self._scripts, key, self.clock)
        seat = Seat(ident, talk, key, self._bench)
        model, tools = PacedModel(talk, seat, self._settings.pace), ScriptedTools(talk)
        loop = seat.loop = make_loop(self._settings.factory, model, tools)
        contract = contract_of(loop)
        talk.trim = loop.trim if has(loop, "trim") else None
        talk.ledger.mask = contract.mask
        if has(loop, "observe"):
            with blamed("observe"):
                loop.observe(seat.listener)
        seat.offers = tuple(name for name in OPTIONAL if has(loop, name))
        seat.threaded = not is_coroutine_function(loop.send)
        if not seat.threaded:
            seat.offers = (*seat.offers, "async")
        talk.tell(seat.see)
        talk.emit(SessionStarted(session=number, contract=contract, offers=seat.offers))
        return seat

    def used(self, seat: Seat) -> None:
        """Somebody spoke to a session just now."""
        seat.used_s = self.clock.now()
        if seat.id in self._open:
            self._open.move_to_end(seat.id)

    # -- conversations that requests bring along ---------------------------------------------------

    def keep_warm(self, seat: Seat, where: bytes) -> None:
        """Remember in which state of which conversation a session is, for the request that goes on with it."""
        before = self._warm.get(where)
        if before is not None and before is not seat:
            self.close(before)
        seat.warm = where
        self._warm[where] = seat

    def warm(self, where: bytes) -> Seat | None:
        """Return a session that is in this state, and take it: no other request gets it."""
        seat = self._warm.get(where)
        if seat is None or seat.live is not None:
            return None
        del self._warm[where]
        seat.warm = None
        return seat

    # -- the end -------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Close the sessions that nobody has spoken to for too long."""
        limit = now - self._settings.bounds.idle_s
        for seat in self:
            if seat.used_s > limit:
                break
            if seat.live is None:
                self._tally.sessions["expired"] += 1
                self.close(seat)

    def close(self, seat: Seat) -> None:
        """Take leave of a session that rests: judge its end, and forget it."""
        if self._open.pop(seat.id, None) is None:
            return
        if seat.warm is not None and self._warm.get(seat.warm) is seat:
            del self._warm[seat.warm]
        self._tally.sessions["closed"] += 1
        try:
            if seat.turns:
                self._judge_end(seat)
            self._take_leave(seat)
        except LoopError as error:  # nobody is there any more who could be told
            self._tally.misuse = self._tally.misuse or str(error)
        seat.closed = True
        self._bench.forget(seat.number)

    def _judge_end(self, seat: Seat) -> None:
        with blamed("history"):
            history = history_of(seat.loop)
        seat.talk.emit(
            SessionEnded(
                session=seat.number,
                history=None if history is None else len(history),
                open_calls=open_calls(history or ()),
            )
        )

    def _take_leave(self, seat: Seat) -> None:
        if not has(seat.loop, "close"):
            return
        with blamed("close"):
            result = seat.loop.close()
            if not inspect.isawaitable(result):
                return
            try:
                asyncio.get_running_loop()
            except RuntimeError:  # before the first request, or after the last one
                asyncio.run(awaited(result))
                return
            task = asyncio.ensure_future(result)
            self._leaving.add(task)
            task.add_done_callback(self._left)

    def _left(self, task: asyncio.Future[Any]) -> None:
        self._leaving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._tally.misuse = self._tally.misuse or f"the loop's close raised {described(error)}"
