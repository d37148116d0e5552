"""Runs written down by hand, in a few words a line.

Elle's authors test their checker with tiny histories and exact verdicts; these are ours. A script is a list of steps:

=================  =================================================================================
``system 0``       the application adds system message S0
``turn 0 2 1``     turn 0 begins; the model will ask for two calls, then for one, then answer
``ask S0 U0 C0``   the loop sends these messages
``reply``          the model answers as planned; ``again`` gives the reply of the same round again
``fail``           the model fails
``run 0a``         the first call of round 0 runs; ``run 0a name={...}`` runs another tool or with other arguments
``breaks 0a``      the first call of round 0 runs, and its tool raises
``approve 0a no``  the approver was asked about a call
``probe i``        the loop's trim was tried: ``i`` not idempotent, ``c`` changes its input, ``d`` not deterministic
``answer``         the turn ends with the model's answer; ``answer text`` with another one, ``answer -`` with none
``raised``         it ends so; also ``refused``, ``cancelled``, ``stopped``
``wait 5``         seconds pass
``close``          the session ends; ``close id`` with that call open
``session 1``      what follows is of session 1
=================  =================================================================================

Messages are named by kind and turn: S0 (system message 0), U0, A0, C0 (the call of round 0) and C0.1 (of round 1),
T0a and T0.1b (the results of the first and second call), N0 (a note), M0 (a note of another name), I0 (invented).
With ``'`` the text is altered, with ``-`` it is empty, with ``*`` it is the mask ``old``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from looprig.ledger import Ledger
from looprig.loop import Contract
from looprig.messages import Message
from looprig.scenario import Place, PlannedCall, Turn, result_text
from looprig.script import reply_at
from looprig.trace import (
    Approval,
    Event,
    Reply,
    Run,
    SessionEnded,
    SessionStarted,
    SystemAdded,
    ToolEnded,
    ToolStarted,
    TrimProbed,
    TurnEnded,
    TurnStarted,
    TurnStatus,
)
from tests.invariants.planted import call, turn

MASK = "old"

_NAME = re.compile(r"([SUACTNMI])(\d+)(?:\.(\d+))?([a-z])?(['*-])?")
_CALL = re.compile(r"(?:(\d+)\.)?(\d)([a-z])")


@dataclass
class Handmade:
    """Turns a script into the events of a run."""

    contract: Contract = field(default_factory=Contract)
    plan: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, PlannedCall] = field(default_factory=dict)
    """What the model asks for instead of an ordinary search, by round and call, as in ``0a``."""
    offers: tuple[str, ...] = ("history", "async")

    def __post_init__(self) -> None:
        self.events: list[Event] = [
            Run(looprig="0", scenario="handmade", seed=0, loop="handmade", clock="virtual", tokens="estimate")
        ]
        self.turns: dict[int, Turn] = {}
        self.ledgers: dict[int, Ledger] = {}
        self.round: dict[int, int] = {}
        self.now_s = 0.0
        self.last: Message | None = None
        self._session(0)

    def play(self, script: str) -> list[Event]:
        for step in filter(None, map(str.strip, script.split(";"))):
            word, _, rest = step.partition(" ")
            getattr(self, f"_{word}")(*([rest] if word in ("answer", "run") else rest.split()))
        return self.events

    # -- steps -----------------------------------------------------------------------------------

    def _session(self, number: int | str) -> None:
        self.session = int(number)
        if self.session not in self.ledgers:
            self.ledgers[self.session] = Ledger(self.session, self.contract.mask)
            self.events.append(SessionStarted(session=self.session, contract=self.contract, offers=self.offers))

    def _system(self, number: str) -> None:
        self.events.append(SystemAdded(session=self.session, text=f"rule {number}"))

    def _turn(self, number: str, *widths: str) -> None:
        self.turn = int(number)
        rounds = [
            tuple(self.calls.get(f"{depth}{'abcdefgh'[n]}", call()) for n in range(int(width)))
            for depth, width in enumerate(widths)
        ]
        plan = turn(self.turn, *rounds, session=self.session, **self.plan)
        self.turns[self.turn] = plan
        self.round[self.turn] = 0
        self.ledgers[self.session].say(Message(role="user", content=plan.say))
        self.events.append(TurnStarted(turn=self.turn, plan=plan, at_s=self.now_s))

    def _ask(self, *names: str) -> None:
        messages = [self.message(name) for name in names]
        self.events.append(self.ledgers[self.session].request(messages, self.turn))

    def _reply(self) -> None:
        round_, message = self.planned(self.turn, self.round[self.turn])
        self.round[self.turn] = round_ + 1
        self._said(round_, message)

    def _again(self) -> None:
        self.round[self.turn] -= 1
        self._reply()

    def _said(self, round_: int, message: Message) -> None:
        self.last = message
        self.ledgers[self.session].say(message)
        self.events.append(Reply(session=self.session, turn=self.turn, round=round_, at_s=self.now_s, message=message))

    def _fail(self) -> None:
        round_ = self.round[self.turn]
        self.events.append(
            Reply(session=self.session, turn=self.turn, round=round_, at_s=self.now_s, fault="server_error")
        )

    def _breaks(self, where: str) -> None:
        self._run(where, outcome="raised")

    def _run(self, rest: str, outcome: str = "ok") -> None:
        where, _, other = rest.partition(" ")
        turn_, round_, number = self.place(where)
        name, _, arguments = other.partition("=")
        wrote = self.planned(turn_, round_)[1].tool_calls[number]
        place = {"turn": turn_, "round": round_, "call": number}
        if arguments and "ref" not in arguments:
            place = {}
        self.events.append(
            ToolStarted(
                session=self.session,
                name=name or wrote.name,
                arguments=arguments or wrote.arguments,
                at_s=self.now_s,
                **place,
            )
        )
        self.events.append(ToolEnded(session=self.session, outcome=outcome, at_s=self.now_s, **place))

    def _approve(self, where: str, answer: str) -> None:
        turn_, round_, number = self.place(where)
        name = self.planned(turn_, round_)[1].tool_calls[number].name
        self.events.append(
            Approval(session=self.session, name=name, granted=answer == "yes", turn=turn_, round=round_, call=number)
        )

    def _probe(self, wrong: str = "") -> None:
        self.events.append(
            TrimProbed(
                session=self.session,
                not_idempotent="trimmed again, it is shorter" if "i" in wrong else "",
                input_changed="the list has changed" if "c" in wrong else "",
                not_deterministic="the next time it was another" if "d" in wrong else "",
            )
        )

    def _answer(self, text: str = "") -> None:
        given = (self.last.content if self.last else "") if not text else "" if text == "-" else text
        own = self.last is None or self.last.content != given
        if own:
            self.ledgers[self.session].say(Message(role="assistant", content=given))
        self._end("answered", answer=given, own=own)

    def _raised(self, *error: str) -> None:
        self._end("raised", error=" ".join(error) or "ValueError: no")

    def _refused(self) -> None:
        self._end("refused", error="ValueError: no")

    def _cancelled(self) -> None:
        self._end("cancelled", error="CancelledError")

    def _stopped(self) -> None:
        self._end("stopped", error="it went on and on")

    def _end(self, status: TurnStatus, **more: Any) -> None:
        self.events.append(TurnEnded(session=self.session, turn=self.turn, status=status, at_s=self.now_s, **more))
        self.last = None

    def _wait(self, seconds: str) -> None:
        self.now_s += float(seconds)

    def _close(self, *open_calls: str) -> None:
        self.events.append(SessionEnded(session=self.session, history=9, open_calls=open_calls))

    # -- messages --------------------------------------------------------------------------------

    def place(self, where: str) -> tuple[int, int, int]:
        found = _CALL.fullmatch(where)
        assert found, where
        turn_, round_, letter = found.groups()
        return int(turn_ or self.turn), int(round_), "abcdefgh".index(letter)

    def planned(self, turn_: int, round_: int) -> tuple[int, Message]:
        plan = self.turns[turn_]
        return reply_at(plan, Place(plan.session, turn_, round_ - 1))

    def message(self, name: str) -> Message:
        found = _NAME.fullmatch(name)
        assert found, name
        kind, number, round_, letter, change = found.groups()
        message = self.said(kind, int(number), int(round_ or 0), "abcdefgh".index(letter or "a"))
        if change == "'":
            return msgspec.structs.replace(message, content=f"Well: {message.content}")
        return msgspec.structs.replace(message, content=MASK if change == "*" else "") if change else message

    def said(self, kind: str, number: int, round_: int, call_: int) -> Message:
        match kind:
            case "S":
                return Message(role="system", content=f"rule {number}")
            case "N":
                return Message(role="user", content=f"context {number}", name="context")
            case "M":
                return Message(role="user", content=f"summary {number}", name="summary")
            case "I":
                return Message(role="assistant", content=f"made up {number}")
            case "U":
                return Message(role="user", content=self.turns[number].say)
            case "A":
                return self.planned(number, len(self.turns[number].rounds))[1]
            case "C":
                return self.planned(number, round_)[1]
        plan = self.turns[number]
        asked = self.planned(number, round_)[1].tool_calls[call_]
        text = result_text(Place(plan.session, number, round_, call_), plan.rounds[round_].calls[call_])
        return Message(role="tool", content=text, tool_call_id=asked.id)
