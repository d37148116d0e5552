"""Whole agent runs: the real runner drives a small loop whose history policy is the trimmer under test.

Here the trimmer lives with what it did before: a request that a provider would refuse is counted, and the damage is
carried on. The texts are as short as those of the histories in letters, so that the same limits mean the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from looprig.loop import Contract
from looprig.messages import Message
from looprig.runner import RunOptions, run
from looprig.scenario import PlannedCall, Round, Scenario, Turn, stream, user_text
from looprig.subject import LoopError, described
from looprig.trimmers import letters
from looprig.trimmers.call import Caller, TrimFailed
from looprig.trimmers.contract import Subject
from looprig.trimmers.driver import unit_of
from looprig.trimmers.validity import NAMES, refuses

When = Literal["before_model", "every_append"]


def _mixed(messages: int) -> str:
    """Return turns of all shapes in an irregular order, or a window of even length would always miss the same."""
    shapes = ("U A", "U C1 T A", "U C2 T T A", "U C1 T C1 T A", "U C2 T T C1 T A", "U C3 T T T A")
    draws, turns = stream(1, "shapes"), list[str]()
    while sum(len(turn.split()) for turn in turns) < messages:
        turns.append(draws.choice(shapes))
    return " ".join(turns)


def _parallel(turns: int) -> str:
    """Return turns of one to four rounds of one to eight calls at once."""
    draws = stream(1, "widths")
    rounds = (" ".join(_group(draws.randint(1, 8)) for _ in range(draws.randint(1, 4))) for _ in range(turns))
    return " ".join(f"U {calls} A" for calls in rounds)


def _group(calls: int) -> str:
    return f"C{calls} {' '.join('T' * calls)}"


RUNS = {"agent": _mixed(200), "chain": "U (C1 T)x100 A", "parallel": _parallel(8)}
"""Mixed traffic of 200 messages, one turn of 100 calls, and many calls at once."""

LIMITS = {"messages": 20, "tokens": 205, "turns": 5, "groups": 12}


@dataclass(slots=True)
class Requests:
    """What the requests of one run were like; all but ``peak`` and ``trouble`` are counts of requests.

    ``refused`` counts by provider. ``system_lost`` and ``user_lost`` are those without the system message, or without
    what the user said last; ``emptied`` those with nothing but system messages. ``trouble`` is what ended a turn.
    """

    run: str
    when: When
    limit: int
    count: int = 0
    refused: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES.values(), 0))
    system_lost: int = 0
    user_lost: int = 0
    emptied: int = 0
    peak: int = 0
    trouble: str = ""
    broken: dict[str, int] = field(default_factory=dict)
    """How often the invariants of whole runs were broken, by code."""

    def see(self, request: Sequence[Message], system: Sequence[Message], user: Message) -> None:
        """Count one request."""
        self.count += 1
        for provider, name in NAMES.items():
            self.refused[name] += refuses(provider, request) is not None
        self.system_lost += list(request[: len(system)]) != list(system)
        self.user_lost += user not in request
        self.emptied += all(message.role == "system" for message in request)
        self.peak = max(self.peak, len(request))


class TrimmedLoop:
    """A loop that trims before each request, or after everything that it appends, and does nothing else."""

    def __init__(self, model: Any, tools: Any, subject: Subject, seen: Requests, caller: Caller) -> None:
        self._model = model
        self._tools = tools
        self._subject = subject
        self._contract = subject.contract(seen.limit)
        self._trimmer = subject.make(seen.limit)
        self._seen = seen
        self._caller = caller
        self._system: list[Message] = []
        self._store: list[Any] = []
        self._view: list[Any] | None = None

    def add_system(self, text: str) -> None:
        message = Message(role="system", content=text)
        self._system.append(message)
        if not self._contract.system_apart:
            self._append([message])

    def send(self, text: str) -> str:
        user = Message(role="user", content=text)
        try:
            return self._turn(user)
        except BaseException as error:
            self._seen.trouble = self._seen.trouble or described(error)
            raise

    def _turn(self, user: Message) -> str:
        self._append([user])
        while True:
            request = self._request()
            self._seen.see(request, self._system, user)
            if all(message.role == "system" for message in request):
                return "(nothing was left to ask)"
            reply = self._model.complete(request)
            results = [self._result(call) for call in reply.tool_calls]
            if self._seen.when == "every_append":
                for message in (reply, *results):
                    self._append([message])
            else:
                self._append([reply, *results])
            if not results:
                return str(reply.content)

    def _result(self, call: Any) -> Message:
        content = str(self._tools[call.name].run(json.loads(call.arguments)))
        return Message(role="tool", content=content, tool_call_id=call.id)

    def _append(self, messages: list[Message]) -> None:
        extend = getattr(self._subject.codec, "extend", None)
        if extend is not None:
            self._store = extend(self._store, messages)
        else:
            self._store = [*self._store, *self._subject.codec.load(messages)]
        self._view = None
        if self._seen.when == "every_append":
            self._trim()

    def _trim(self) -> None:
        result = self._caller.call(self._trimmer, self._store)
        self._view = result
        if self._contract.mode != "view":
            self._store = result

    def _request(self) -> list[Message]:
        if self._view is None:
            self._trim()
        request = self._subject.codec.dump(self._view or [])
        return [*self._system, *request] if self._contract.system_apart else request


def play_run(subject: Subject, name: str, when: When = "before_model", limit: int | None = None) -> Requests:
    """Play the run *name* with the trimmer as the loop's history policy."""
    contract = subject.contract(1)
    limit = limit or LIMITS[unit_of(subject)]
    seen = Requests(name, when, limit)
    with Caller() as caller:
        try:
            outcome = run(
                scenario(name),
                lambda model, tools: TrimmedLoop(model, tools, subject, seen, caller),
                loop=subject.name,
                options=RunOptions(contract=Contract(messages_max=limit if contract.unit == "messages" else None)),
            )
        except (LoopError, TrimFailed) as error:
            seen.trouble = seen.trouble or str(error)
        else:
            seen.broken = outcome.broken
    return seen


def play_all(subject: Subject) -> list[Requests]:
    """Play all runs, and the mixed one trimmed in both places."""
    limit = subject.limits[0] if len(subject.limits) == 1 else None
    places: list[tuple[str, When]] = [
        ("agent", "before_model"),
        ("agent", "every_append"),
        ("chain", "before_model"),
        ("parallel", "before_model"),
    ]
    return [play_run(subject, name, when, limit) for name, when in places]


def scenario(name: str) -> Scenario:
    """Return the run *name* as a scenario."""
    turns: list[list[str]] = []
    for letter in letters.read(RUNS[name]):
        if letter == "U":
            turns.append([])
        turns[-1].append(letter)
    return Scenario(name=name, seed=0, turns=[_turn(number, turn) for number, turn in enumerate(turns)])


def _turn(number: int, turn: Sequence[str]) -> Turn:
    rounds = tuple(
        Round(calls=tuple(_call(at, index) for index in range(int(letter[1:]))))
        for at, letter in enumerate(turn)
        if letter[0] == "C"
    )
    system = ("rule: say what is so, and nothing else --",) if number == 0 else ()
    return Turn(
        say=user_text(0, number, "what is so? --------------"),
        answer="that is so -----------------",
        rounds=rounds,
        system=system,
    )


def _call(at: int, index: int) -> PlannedCall:
    return PlannedCall(name="search", inputs={"query": f"{at}.{index}"}, result="found that and this --")
