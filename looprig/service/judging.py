"""Judges every request of every session when it is made, by the rules that a run is judged by."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import msgspec

from looprig.invariants import Checker
from looprig.ledger import Ledger
from looprig.messages import Message
from looprig.observe import Observer, RequestView, TurnView, View
from looprig.scenario import place_in, place_of
from looprig.service.scripts import Key
from looprig.settled import settle
from looprig.trace import Event


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A violation, and what was played where it was found; see `looprig.invariants.Violation`."""

    code: str
    what: str
    session: int
    turn: int
    request: int | None
    because: str
    shape: str
    script: Key


class Seen(msgspec.Struct, frozen=True):
    """What came of an event: the view that it completed, and the codes of what it broke."""

    view: View | None
    broken: Sequence[str] = ()


class Bench:
    """The observer and the checker that all sessions share; loops that run in threads may come to it at once."""

    def __init__(self) -> None:
        self._observer = Observer()
        self._checker = Checker()
        self._lock = threading.Lock()
        self.findings: list[Found] = []
        """The first of each code."""

    @property
    def judged(self) -> Mapping[str, int]:
        """How often each invariant was judged."""
        return self._checker.judgements

    @property
    def broken(self) -> Mapping[str, int]:
        """How often each invariant was broken."""
        return self._checker.broken

    @property
    def waived(self) -> Mapping[str, int]:
        """How often each was broken that the loop's contract waives."""
        return self._checker.waived

    def see(self, event: Event, script: Key) -> Seen:
        """Take in what a session did, and judge what that completes."""
        with self._lock:
            view = self._observer.see(event)
            if view is None:
                return _NOTHING
            checker = self._checker
            known = len(checker.violations)
            before = dict(checker.broken) if checker.broken else {}
            checker.see(view)
            if not checker.broken:
                return Seen(view)
            broken = [code for code, times in checker.broken.items() for _ in range(times - before.get(code, 0))]
            for found in checker.violations[known:]:
                self.findings.append(
                    Found(
                        code=found.code,
                        what=found.invariant,
                        session=found.session,
                        turn=found.turn,
                        request=found.request,
                        because=found.because,
                        shape=found.shape,
                        script=script,
                    )
                )
            return Seen(view, broken)

    def given_up(self, session: int, after_s: float) -> None:
        """The user of a session has left its running turn."""
        with self._lock:
            self._observer.given_up(session, after_s)

    def rests(self, view: TurnView, ledger: Ledger) -> None:
        """The session waits for its user: keep what is known of it in little memory."""
        with self._lock:
            settle(view.session, ledger)

    def forget(self, session: int) -> None:
        """A session is over."""
        with self._lock:
            self._observer.forget(session)


_NOTHING = Seen(None)


def tokens_of(view: View | None) -> tuple[int, int]:
    """Return the tokens of a request, and those of them that a prompt cache would not have."""
    return (view.tokens, view.tokens - view.same_tokens) if isinstance(view, RequestView) else (0, 0)


def is_foreign(message: Message, session: int) -> bool:
    """Whether a message says that it belongs to another session: by its marker, or by the id that it answers."""
    place = place_in(message.content) or place_of(message.tool_call_id or "")
    return place is not None and place.session != session
