"""Plays a scenario, and takes down for each turn what was known when it started and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from looprig.messages import Message, message_from_dict
from looprig.observe import TurnView, View
from looprig.prediction.features import NOTHING, Known, Past, Played, Size
from looprig.runner import RunOptions, run
from looprig.subject import LoopError, blamed, history_of
from looprig.suite import Step
from looprig.tokens import Counter, counter, message_tokens
from looprig.trace import Event, Reply, Request, SessionEnded, SessionStarted, Trimmed, TurnStarted


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn: where it is from, what was known when it started, and the history when it ended."""

    scenario: str
    seed: int
    known: Known
    end: Size


def samples(step: Step) -> list[Sample]:
    """Play *step* and return its turns in order, those that failed or were refused included.

    The history is the loop's own where it shows one; else it is taken to be the last request and what was said since.

    Raises:
        LoopError: where the loop cannot be driven, or the run shows nothing.
    """
    watcher = _Watcher(counter(step.settings.tokens))
    factory = step.target.make()

    def watched(model: Any, tools: Any) -> Any:
        watcher.made = factory(model, tools)
        return watcher.made

    outcome = run(
        step.scenario(),
        watched,
        loop=step.target.spec,
        clock=step.settings.new_clock(),
        options=RunOptions(
            judge=False, tokens=step.settings.tokens, turn_limit_s=step.settings.turn_limit_s, watch=watcher.see
        ),
    )
    if outcome.unusable:
        raise LoopError(outcome.unusable)
    return [Sample(step.file.name, step.seed, known, end) for known, end in watcher.turns]


@dataclass(slots=True)
class _Conversation:
    """One session: its loop, its past, and the turn that is being played."""

    loop: Any
    past: Past
    known: Known | None = None
    tokens: int = 0
    trims: int = 0
    trimmed_to: int = 0
    end: Size = NOTHING
    """How the turn before ended."""


class _Watcher:
    """Follows the events of a run; every figure is exact."""

    def __init__(self, count: Counter) -> None:
        self.made: Any = None
        """The loop that was made last: that of the session which starts next."""
        self.turns: list[tuple[Known, Size]] = []
        self._count = count
        self._conversations: dict[int, _Conversation] = {}
        self._counted: dict[int, tuple[Message, int]] = {}
        """Messages of the histories by identity, with their tokens; keeping them keeps the identity theirs."""

    def see(self, event: Event, view: View | None) -> None:
        match event:
            case SessionStarted():
                self._conversations[event.session] = _Conversation(self.made, Past())
            case TurnStarted():
                self._started(event)
            case Request():
                conversation = self._conversations[event.session]
                conversation.tokens += sum(message_tokens(message, self._count) for message in event.new)
            case Reply() if event.message is not None:
                self._conversations[event.session].tokens += message_tokens(event.message, self._count)
            case Trimmed():
                conversation = self._conversations[event.session]
                conversation.trims += 1
                conversation.trimmed_to = event.after
            case SessionEnded():
                del self._conversations[event.session]
        if isinstance(view, TurnView):
            self._ended(view)

    def _started(self, event: TurnStarted) -> None:
        conversation = self._conversations[event.plan.session]
        say = Message(role="user", content=event.plan.say)
        shown = self._shown(conversation)
        start = conversation.end if shown is None else shown
        conversation.known = conversation.past.known(start, self._count(say.content))
        conversation.tokens = message_tokens(say, self._count)
        conversation.trims = conversation.trimmed_to = 0

    def _ended(self, view: TurnView) -> None:
        conversation = self._conversations[view.session.number]
        known = conversation.known
        assert known is not None, "a turn starts before it ends"
        end = self._shown(conversation)
        if end is None:
            entries = [*view.session.entries, *view.session.unsent]
            end = Size(len(entries), sum(entry.tokens for entry in entries))
        said = Size(view.said, conversation.tokens)
        conversation.past.add(
            Played(known.start, end, said, conversation.trims, conversation.trimmed_to, len(view.runs))
        )
        conversation.end = end
        self.turns.append((known, end))

    def _shown(self, conversation: _Conversation) -> Size | None:
        """Return the history that the loop shows; None where it shows none, or one that is not of chat messages."""
        with blamed("history"):
            history = history_of(conversation.loop)
        if history is None:
            return None
        tokens = 0
        for entry in history:
            counted = self._tokens(entry)
            if counted is None:
                return None
            tokens += counted
        return Size(len(history), tokens)

    def _tokens(self, entry: object) -> int | None:
        """Return a message's tokens. Those of a frozen one are counted once; a dict may have changed since."""
        if not isinstance(entry, Message):
            message = _read(entry)
            return None if message is None else message_tokens(message, self._count)
        known = self._counted.get(id(entry))
        if known is None:
            known = self._counted[id(entry)] = (entry, message_tokens(entry, self._count))
        return known[1]


def _read(entry: object) -> Message | None:
    try:
        return message_from_dict(entry) if isinstance(entry, Mapping) else None
    except ValueError:
        return None
