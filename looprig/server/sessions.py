"""The sessions of a server: which one a request belongs to, and where in its script each of them is.

A request names its session in its markers, which the model's own replies carry: a client that sends back what the
model said is recognised by it, whatever its user types. A request without any marker begins a new session, unless it
asks again what the newest session of its API key asked first and never got answered.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from looprig.messages import Message
from looprig.providers.base import Received, Seen
from looprig.scenario import Fault, Place, Turn
from looprig.script import NOTHING_TO_ANSWER, locate, reply_at, requests_allowed
from looprig.server.judging import Bench, Judge
from looprig.server.plays import Play, fitted, marker_of, offers, offers_any
from looprig.server.usage import Prompt

COUNTED_FROM = 100_000
"""Sessions that the server numbers by itself, so that they cannot meet those of a scenario's markers."""

WARM_BYTES = 32 * 2**20
"""Bytes of last requests of which a server remembers what it needs to judge the next ones: some eight times as much
memory. Beyond that the sessions that were silent longest are only counted on, and judged anew when they speak again."""

WEIGHT_OF_SESSION = 1024
"""What a session counts for beside its last request."""

KNOWN_MAX = 100_000
"""Sessions that are known one by one; of older ones only the totals are kept."""

SESSION_HEADER = b"x-looprig-session"
SCENARIO_HEADER = b"x-looprig-scenario"

_SESSION = re.compile(rb"(?:\[#|call_|resp_)s(\d{1,9})[tn]")


def session_in(raw: bytes) -> int | None:
    """Return the session of the last marker in a request's body, or None where it has none."""
    at = raw.rfind(b"[#s")
    match = _SESSION.match(raw, at) if at >= 0 else None
    if raw.find(b"call_s", at + 1) < 0 and raw.find(b"resp_s", at + 1) < 0:
        return int(match[1]) if match is not None else None
    # What follows the last marker is the newest call or result; where none fits, the text's own marker counts.
    last = match
    for match in _SESSION.finditer(raw, max(at, 0)):
        last = match
    return int(last[1]) if last is not None else None


class Step(msgspec.Struct, frozen=True):
    """What the script says to a request. ``stopped`` is why the turn is not gone on with, where it is not."""

    place: Place | None
    round: int
    message: Message
    attempt: int = 0
    chunks: int = 1
    delay_s: float = 0.0
    faults: tuple[Fault, ...] = ()
    stopped: str = ""


class Conversation:
    """One session: where it is in its script, and what is needed to judge its next request.

    ``counted`` sessions type texts of their own: a user message that was not answered before is their next turn.
    """

    def __init__(self, number: int, provider: str, play: Play, counted: bool, bench: Bench | None) -> None:
        self.number = number
        self.provider = provider
        self.play = play
        self.counted = counted
        self.turn = -1
        self.turns = 0
        self.requests = 0
        self.rejected: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.weight = 0
        self._bench = bench
        self._plan: Turn | None = None
        self._asked: Place | None = None
        self._answer: str | None = None
        self._over = False
        self._in_turn = 0
        self._attempts: dict[int, int] = {}
        self.forget()

    def forget(self) -> None:
        """Let go of what was sent: the next request is read and judged as if it were the first of the session."""
        self.seen = Seen()
        self.prompt = Prompt()
        self.repeated: Any = None
        """For `looprig.server.exchange`: the last request and what was said to it."""
        self.weight = 0
        self._judge_anew()

    def _judge_anew(self) -> None:
        self._judge = Judge(self._bench, self.provider, self.number, self.broken) if self._bench is not None else None
        self._fresh = True

    def refused(self, rule: str) -> None:
        """A request was refused. What it said that was new is not known, so the next one is taken as it is."""
        self.requests += 1
        self.rejected[rule] += 1
        if not self._fresh:
            self._judge_anew()

    @property
    def unanswered(self) -> bool:
        """Whether the current turn has had no answer yet."""
        return self._answer is None

    def asks_again(self, text: str) -> bool:
        """Whether *text* is what the session's only turn asked, and got no answer to."""
        return self.turns == 1 and self.unanswered and self._plan is not None and self._plan.say == text

    def step(self, received: Received) -> Step:
        """Take a request in, judge it, and say what the script answers."""
        self.requests += 1
        if self._judge is None:
            place = self._place_of(received.messages)
        else:
            messages = list(received.messages)
            place = self._turn_of(messages, received.fields)
            if self._plan is not None:
                self._shown(self._judge, messages)
        self._in_turn += 1
        turn = self._planned(place, received.fields)
        if place is None or turn is None:
            nothing = Message(role="assistant", content=NOTHING_TO_ANSWER)
            return Step(None, -1, nothing, stopped=self._endless())
        if turn.rounds and not offers_any(received.fields):
            place = place._replace(round=len(turn.rounds) - 1)  # without tools there is nothing but to answer
        round_, message = reply_at(turn, place)
        attempt = self._attempts.get(round_, 0)
        self._attempts[round_] = attempt + 1
        delay_s = turn.rounds[round_].delay_s if round_ < len(turn.rounds) else turn.delay_s
        for fault in turn.faults:
            if fault.kind == "timeout" and fault.round == round_ and attempt < fault.times:
                delay_s = fault.delay_s
        return Step(place, round_, message, attempt, turn.chunks, delay_s, turn.faults, self._endless())

    def _shown(self, judge: Judge, messages: list[Message]) -> None:
        if not self._fresh:
            judge.request(messages)
            return
        assert self._plan is not None
        judge.begin(self.turn, self._plan)
        judge.adopt(messages)
        self._fresh = False

    def said(self, step: Step, message: Message | None, fault: str | None = None) -> None:
        """The model's reply, or its failure, is on its way."""
        if message is not None and step.place is not None:
            if message.tool_calls:
                self._asked = Place(step.place.session, step.place.turn, step.round, 0)
            elif step.place.turn == self.turn and fault is None:
                self._answer = message.content
        if self._judge is not None and self._plan is not None:
            self._judge.reply(step.place.turn if step.place is not None else -1, step.round, message, fault)

    def finish(self) -> None:
        """End the turn, if one goes on."""
        if self._judge is not None and self._plan is not None and not self._over and not self._fresh:
            self._judge.end("answered" if self._answer is not None else "cancelled", self._answer)
        self._over = True

    def _place_of(self, messages: Sequence[Message]) -> Place | None:
        """Find out what a request asks to be answered, without judging: nothing is made of the order of turns."""
        place = locate(messages, self.number, -1, None)
        if place is None:
            place = self._asked if messages[-1:] and messages[-1].role == "tool" else Place(self.number, 0)
        if place is not None and place.turn != self.turn:
            self.turn, self.turns = place.turn, self.turns + 1
            self._attempts.clear()
        return place

    # -- which turn it is ------------------------------------------------------------------------

    def _turn_of(self, messages: list[Message], fields: Mapping[str, Any]) -> Place | None:
        """Find out what a request asks to be answered; begin a turn where it is a new one."""
        place = locate(messages, self.number, self.turn, self._plan)
        last = next((message for message in reversed(messages) if message.role != "system"), None)
        if last is None:
            return place  # what is left of the turn is its instructions alone
        if last.role == "assistant":
            return None
        if last.role == "tool":
            if self._plan is None and place is not None:
                said = next((message.content for message in reversed(messages) if message.role == "user"), "")
                self._begin(place.turn, said, fields)
            return place or self._asked
        if self.counted or place is None:
            if self._is_next(last.content, messages):
                self._begin(self.turn + 1, last.content, fields)
            return Place(self.number, self.turn)
        if place.turn > self.turn:
            self._begin(place.turn, last.content, fields)
        elif self._is_replayed(place, messages):
            self._restart()
            self._begin(place.turn, last.content, fields)
        return place

    def _is_next(self, text: str, messages: list[Message]) -> bool:
        """Whether a text that carries no place is a new turn, and not the current one asked again."""
        if self._plan is None or text != self._plan.say:
            return True
        if self._answer is None:
            return False
        marker = marker_of(self.number, self.turn)
        return any(message.role == "assistant" and marker in message.content for message in reversed(messages))

    def _is_replayed(self, place: Place, messages: list[Message]) -> bool:
        """Whether the client plays the scenario once more from here on, under the number of the session before."""
        begins = not any(message.role == "assistant" for message in messages)
        return begins and (place.turn < self.turn or self._answer is not None)

    def _restart(self) -> None:
        self.finish()
        self.forget()
        self.turn = -1

    def _begin(self, turn: int, text: str, fields: Mapping[str, Any]) -> None:
        self.finish()
        self.turn, self.turns = turn, self.turns + 1
        self._answer, self._over, self._in_turn = None, False, 0
        self._attempts.clear()
        plan = self._of_script(turn, fields) or Turn(say=text, answer=NOTHING_TO_ANSWER)
        self._plan = msgspec.structs.replace(plan, say=text, session=self.number)
        if self._judge is not None and not self._fresh:
            self._judge.begin(turn, self._plan)

    def _planned(self, place: Place | None, fields: Mapping[str, Any]) -> Turn | None:
        if place is None:
            return None
        if place.turn == self.turn and self._plan is not None:
            return self._plan
        return self._of_script(place.turn, fields)

    def _of_script(self, turn: int, fields: Mapping[str, Any]) -> Turn | None:
        """Return a turn of the script, as it is for the tools that the request offers."""
        planned = self.play.counted(self.number, turn) if self.counted else self.play.marked(turn)
        return fitted(planned, offers(fields)) if planned is not None and planned.rounds else planned

    def _endless(self) -> str:
        """Say why the turn is stopped, where it has asked far more often than its script is long."""
        if self._plan is None or self._in_turn <= requests_allowed(self._plan):
            return ""
        return f"the turn asked the model {self._in_turn} times; its script has {len(self._plan.rounds) + 1} replies"

    def stop(self, why: str) -> bool:
        """End the turn because it would not end; return whether an invariant says so too."""
        if self._over:
            return True
        self._over = True
        return self._judge is None or self._judge.end("stopped", error=why)


class Sessions:
    """All sessions of a server, in memory that does not grow with what they say.

    ``find_play`` finds the scenario of a header. ``gone`` is told of each session that is no longer known by itself.
    """

    def __init__(
        self,
        play: Play,
        bench: Bench | None,
        find_play: Callable[[str], Play],
        gone: Callable[[Conversation], None],
    ) -> None:
        self._play = play
        self._bench = bench
        self._find_play = find_play
        self._gone = gone
        self._known: dict[tuple[str, str, int], Conversation] = {}
        self._warm: OrderedDict[int, Conversation] = OrderedDict()
        self._names: dict[tuple[str, str, str], int] = {}
        self._newest: dict[tuple[str, str, str], Conversation] = {}
        self._next = COUNTED_FROM
        self._bytes = 0

    def __iter__(self) -> Any:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def of(self, provider: str, raw: bytes, headers: Mapping[bytes, bytes]) -> Conversation | None:
        """Return the session that a request's body or headers name, or None where they name none."""
        scenario = _scenario_of(headers)
        number = session_in(raw)
        if number is not None:
            found = self._known.get((provider, scenario, number))
            return found or self._new(provider, scenario, number, number >= COUNTED_FROM)
        name = headers.get(SESSION_HEADER)
        if name is not None:
            return self._named(provider, scenario, name.decode("latin-1"))
        if self._bench is None:
            return self._named(provider, scenario, "")  # unjudged: whoever sends no marker shares one session
        return None

    def newest(self, provider: str, headers: Mapping[bytes, bytes], key: str) -> Conversation:
        """Return the session that a request belongs to which names none and was refused."""
        whose = (provider, _scenario_of(headers), key)
        return self._newest.get(whose) or self.of_first(provider, "", headers, key)

    def of_first(self, provider: str, text: str, headers: Mapping[bytes, bytes], key: str) -> Conversation:
        """Return the session of a request that names none: a new one, or the one whose first turn it asks again."""
        scenario = _scenario_of(headers)
        whose = (provider, scenario, key)
        newest = self._newest.get(whose)
        if newest is None or not newest.asks_again(text):
            newest = self._counted(provider, scenario)
            if len(self._newest) > KNOWN_MAX:
                self._newest.clear()
            self._newest[whose] = newest
        return newest

    def used(self, conversation: Conversation, size: int) -> None:
        """Note that a session was spoken to with a body of *size* bytes, and forget what is longest ago."""
        warm = self._warm
        ident = id(conversation)
        if ident in warm:
            warm.move_to_end(ident)
        else:
            warm[ident] = conversation
        weight = size + WEIGHT_OF_SESSION
        self._bytes += weight - conversation.weight
        conversation.weight = weight
        while self._bytes > WARM_BYTES and len(warm) > 1:
            _, oldest = warm.popitem(last=False)
            self._bytes -= oldest.weight
            oldest.forget()

    def finish(self) -> None:
        """End the turns that go on."""
        for conversation in self._known.values():
            conversation.finish()

    def _named(self, provider: str, scenario: str, name: str) -> Conversation:
        whose = (provider, scenario, name)
        number = self._names.get(whose)
        found = self._known.get((provider, scenario, number)) if number is not None else None
        if found is None:
            if name.isascii() and name.isdigit() and len(name) < 6:
                found = self._known.get((provider, scenario, int(name)))
                found = found or self._new(provider, scenario, int(name), counted=True)
            else:
                found = self._counted(provider, scenario)
            if len(self._names) >= KNOWN_MAX:
                self._names.clear()
            self._names[whose] = found.number
        return found

    def _counted(self, provider: str, scenario: str) -> Conversation:
        number, self._next = self._next, self._next + 1
        return self._new(provider, scenario, number, counted=True)

    def _new(self, provider: str, scenario: str, number: int, counted: bool) -> Conversation:
        play = self._find_play(scenario) if scenario else self._play
        made = Conversation(number, provider, play, counted, self._bench)
        self._known[provider, scenario, number] = made
        if len(self._known) > KNOWN_MAX:
            self._drop_oldest()
        return made

    def _drop_oldest(self) -> None:
        key = next(iter(self._known))
        oldest = self._known.pop(key)
        oldest.finish()
        if self._warm.pop(id(oldest), None) is not None:
            self._bytes -= oldest.weight
        self._gone(oldest)


def _scenario_of(headers: Mapping[bytes, bytes]) -> str:
    name = headers.get(SCENARIO_HEADER)
    return "" if name is None else name.decode("latin-1")
