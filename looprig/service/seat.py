"""A loop at its place in the service: one session, with the model and the tools that play its script to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from looprig.clock import Clock
from looprig.ledger import Ledger
from looprig.messages import Message
from looprig.observe import RequestView, TurnView
from looprig.scenario import Scenario, Turn
from looprig.script import Session
from looprig.service.events import Wire
from looprig.service.judging import Bench, is_foreign, tokens_of
from looprig.service.outbox import Outbox
from looprig.service.scripts import Key, Scripts
from looprig.subject import has, history_of
from looprig.trace import Event, Misuse, Reply, Request, ToolEnded, ToolStarted

_NO_SCENARIO = Scenario(name="", seed=0, turns=())


class Talk(Session):
    """What model, tools and service of one session share; its script is looked up when it is needed."""

    cpu_ns = staticmethod(lambda: 0)
    """Nobody asks here what looprig's share of a turn is."""

    def __init__(self, number: int, scripts: Scripts, key: Key, clock: Clock) -> None:
        super().__init__(number, _NO_SCENARIO, clock, _unheard)
        self._scripts = scripts
        self._key = key

    def planned(self, turn: int) -> Turn | None:
        """Return turn number *turn* of this session; of one that is over, as the scenario has it."""
        if turn == self.turn:
            return self.plan
        return self._scripts.get(self._key).turn(self.number, turn) if 0 <= turn < self.turn else None


def _unheard(_event: Event) -> None:
    raise RuntimeError("the loop called the model or a tool while it was being made, when nobody had said anything yet")


class Listener:
    """Hears of appends and trims, and keeps two numbers."""

    __slots__ = ("heard", "length", "pause_ns")

    def __init__(self) -> None:
        self.heard = False
        self.length = 0
        self.pause_ns = 0

    def appended(self, length: int) -> None:
        """The history has so many messages."""
        self.heard = True
        self.length = length

    def trimmed(self, _before: int, after: int, pause_ns: int) -> None:
        """A trim left so many, and took so long."""
        self.length = after
        self.pause_ns += int(pause_ns)


class Live:
    """A turn that runs: what it has come to so far, and where its events go.

    A ``muted`` one is played to bring a loop to where its conversation is: nobody hears of it, and nothing takes time.
    """

    __slots__ = (
        "_running",
        "_since",
        "_started",
        "asking",
        "broken",
        "cut",
        "cut_left",
        "input_tokens",
        "left_s",
        "mixed",
        "muted",
        "number",
        "outbox",
        "output_tokens",
        "pings",
        "plan",
        "requests",
        "rounds",
        "seat",
        "shown",
        "stall_s",
        "started_s",
        "stopping",
        "task",
        "tool_s",
        "torn",
        "uncached",
        "view",
        "wire",
    )

    def __init__(self, seat: Seat, number: int, plan: Turn, wire: Wire, started_s: float) -> None:
        self.seat, self.number, self.plan, self.wire, self.started_s = seat, number, plan, wire, started_s
        self.outbox = Outbox()
        self.task: asyncio.Task[None] | None = None
        self.muted = self.stopping = self.cut = self.torn = self.shown = self.pings = self.mixed = False
        self.left_s: float | None = None
        """When the client left, on the clock of ``started_s``."""
        self.cut_left: int | None = None
        self.requests = self.rounds = self.input_tokens = self.output_tokens = self.uncached = 0
        self.broken: list[str] = []
        self.view: TurnView | None = None
        self.asking: Message | None = None
        self.tool_s = self.stall_s = 0.0
        self._started: dict[tuple[int, int], ToolStarted] = {}
        self._running = 0
        self._since = 0.0

    def tool_started(self, event: ToolStarted) -> None:
        """A tool runs."""
        self._started[event.round, event.call] = event
        if not self._running:
            self._since = event.at_s
        self._running += 1

    def tool_ended(self, event: ToolEnded) -> bytes:
        """A tool has run; return what the client is told of it."""
        self._running -= 1
        if not self._running:
            self.tool_s += event.at_s - self._since
        started = self._started.get((event.round, event.call))
        if started is None:
            return b""
        calls = self.asking.tool_calls if self.asking is not None else ()
        ident = calls[event.call].id if 0 <= event.call < len(calls) else ""
        return self.wire.ran(ident, started.name, event.at_s - started.at_s, event.outcome != "ok")


class Seat:
    """One session of the service, with its loop."""

    __slots__ = (
        "_bench",
        "_chars",
        "_counted",
        "closed",
        "closing",
        "id",
        "key",
        "listener",
        "live",
        "loop",
        "misuse",
        "mixed",
        "offers",
        "talk",
        "threaded",
        "turns",
        "used_s",
        "warm",
    )

    def __init__(self, ident: str, talk: Talk, key: Key, bench: Bench) -> None:
        self.id, self.talk, self.key, self._bench = ident, talk, key, bench
        self.listener = Listener()
        self.loop: Any = None
        self.offers: tuple[str, ...] = ()
        self.live: Live | None = None
        self.turns = 0
        self.used_s = 0.0
        self.threaded = self.mixed = self.closed = self.closing = False
        self.misuse: str | None = None
        self.warm: bytes | None = None
        """Where the conversation is that it was left in, for requests that bring all of theirs along."""
        self._chars = self._counted = 0

    @property
    def number(self) -> int:
        """The session's number, which its markers have."""
        return self.talk.number

    # -- what happens at the loop's boundary ---------------------------------------------------------

    def see(self, event: Event) -> None:
        """Take in what the loop, its model and its tools do: judge it, count it, and tell the client."""
        live = self.live
        if self.closed:
            return  # what a loop left running goes on when nobody looks any more
        seen = self._bench.see(event, self.key)
        if isinstance(event, Misuse):
            self.misuse = self.misuse or event.text
        if live is None:
            return
        live.broken += seen.broken
        if isinstance(event, Request):
            self._requested(live, event, seen.view if isinstance(seen.view, RequestView) else None)
        elif isinstance(event, Reply):
            if event.message is not None and event.message.tool_calls:
                live.rounds += 1
                live.asking = event.message
                self._tell(live, live.wire.asked(event.message))
        elif isinstance(event, ToolStarted):
            live.tool_started(event)
        elif isinstance(event, ToolEnded):
            self._tell(live, live.tool_ended(event))
        elif isinstance(seen.view, TurnView):
            live.view = seen.view

    def _requested(self, live: Live, event: Request, view: RequestView | None) -> None:
        live.requests += 1
        tokens, live.uncached = tokens_of(view)
        live.input_tokens += tokens
        window = self.talk.ledger.window
        if not event.extends:
            self._chars = self._counted = 0
        self._chars += sum([len(message.content) for message in window[self._counted :]])
        self._counted = len(window)
        if not self.mixed and any(is_foreign(message, self.number) for message in event.new):
            self.mixed = live.mixed = True

    def _tell(self, live: Live, part: bytes) -> None:
        if live.muted or not part:
            return
        if self.threaded:
            live.outbox.put_from_thread(part)
        else:
            live.outbox.put(part)

    # -- what the model says -------------------------------------------------------------------------

    def answering(self, pieces: int) -> None:
        """The model begins an answer of so many pieces."""
        live = self.live
        if live is not None and live.cut and pieces:
            live.cut_left = max(1, pieces // 2)

    def say(self, pieces: Sequence[str]) -> None:
        """Pieces of the model's answer have come."""
        live = self.live
        if live is None or live.muted:
            return
        live.output_tokens += len(pieces)
        if live.cut_left is not None:
            pieces = pieces[: live.cut_left]
            live.cut_left -= len(pieces)
        live.shown = live.shown or bool(pieces)
        self._tell(live, live.wire.texts(pieces))
        if live.cut_left == 0:
            live.cut_left = None
            live.torn = True
            live.outbox.tear_from_thread() if self.threaded else live.outbox.close(torn=True)

    def spent(self, tokens: int) -> None:
        """The model wrote what the client does not read: calls, and text before them."""
        if self.live is not None and not self.live.muted:
            self.live.output_tokens += tokens

    # -- what the loop remembers ---------------------------------------------------------------------

    def remembered(self, answer: str) -> tuple[int, int]:
        """Return how many messages and characters the loop remembers after a turn that ended in *answer*."""
        expected = self._counted + 1
        if self.listener.heard and self.listener.length == expected:
            return expected, self._chars + len(answer)
        history = history_of(self.loop) if has(self.loop, "history") else None
        if history is None:
            length = self.listener.length if self.listener.heard else expected
            return length, self._chars + len(answer)
        return len(history), sum(len(_content(entry)) for entry in history)

    @property
    def ledger(self) -> Ledger:
        """The numbers of everything that was said."""
        return self.talk.ledger


def _content(entry: Any) -> str:
    content = entry.get("content") if isinstance(entry, dict) else getattr(entry, "content", "")
    return content if isinstance(content, str) else ""
