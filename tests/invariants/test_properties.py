"""What holds for all conversations and all trims, right and wrong ones, as far as Hypothesis can find out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from looprig.invariants import check
from looprig.loop import Contract
from looprig.messages import Message
from looprig.runner import Outcome, RunOptions, run
from looprig.scenario import Fault, FaultKind, PlannedCall, Scenario, Turn
from looprig.tokens import estimate, message_tokens
from looprig.trace import read
from tests.invariants.naive import Log, Requested, first_violations
from tests.invariants.planted import Async, Careful, Core, call, cut, scenario, turn

CODES = ("LR101", "LR102", "LR104", "LR105", "LR106", "LR108", "LR121", "LR122", "LR123", "LR124")

# ---------------------------------------------------------------------------------------------------------------------
# Conversations

widths = st.lists(st.integers(1, 4), max_size=5)
odd_text = st.lists(
    # A high surrogate right before a low one would be read back from JSON as the one character that they stand for.
    st.sampled_from(
        ["\ud800 ", "\udc00", "\x00", "\x1b[31m", "a", " ", "\n", "\r\n", "é", "\U0001f600", "{x}", '"', "<b>", "\\"]
    ),
    max_size=6,
).map("".join)


@st.composite
def plain_turns(draw: st.DrawFn) -> Scenario:
    """Questions, rounds of calls, answers, and system messages in between."""
    turns = []
    for number in range(draw(st.integers(1, 8))):
        rounds = [tuple(call() for _ in range(width)) for width in draw(widths)]
        systems = tuple(f"rule {number}.{n}" for n in range(draw(st.integers(0, 3)) if draw(st.booleans()) else 0))
        turns.append(turn(number, *rounds, system=systems))
    return scenario(*turns)


planned_calls = st.one_of(
    st.just(call()),
    st.builds(
        lambda text, duration_s: call(result=text, duration_s=duration_s), odd_text, st.sampled_from([0.0, 0.5, 3.0])
    ),
    st.builds(lambda text: PlannedCall(name="write_file", inputs={"path": "a", "text": text}, result="done"), odd_text),
    st.builds(lambda granted: call("delete_file", approve=granted), st.booleans()),
    st.builds(
        lambda arguments: call(arguments=arguments), st.sampled_from(["", "{}", "null", "[1]", '{"query": "x"}', '{"q'])
    ),
    st.builds(call, st.sampled_from(["", "serach", "__class__"])),
    st.builds(lambda outcome: call(outcome=outcome), st.sampled_from(["raise", "hang", "unserialisable"])),
    st.builds(lambda: call(id="call_1")),
)


@st.composite
def eventful_turns(draw: st.DrawFn) -> Scenario:
    """Whatever can happen to a conversation, in one or two sessions."""
    turns: list[Turn] = []
    for number in range(draw(st.integers(1, 7))):
        rounds = draw(st.lists(st.lists(planned_calls, min_size=1, max_size=4).map(tuple), max_size=4))
        session = draw(st.integers(0, 1))
        more: dict[str, Any] = {}
        if draw(st.booleans()):
            more["system"] = (f"rule {number}",)
        if draw(st.integers(0, 4)) == 0:
            kind = draw(st.sampled_from(get_args(FaultKind)))
            more["faults"] = (
                Fault(kind=kind, round=draw(st.integers(0, len(rounds))), times=draw(st.sampled_from([1, 2, 9]))),
            )
        if draw(st.integers(0, 4)) == 0:
            more["cancel_after_s"] = draw(st.sampled_from([0.25, 0.5, 1.0]))
            more["delay_s"] = draw(st.sampled_from([0.0, 0.5, 1.0, 2.0]))
        if draw(st.integers(0, 6)) == 0:
            more |= {"say": draw(st.sampled_from(["", "   "])), "may_be_refused": True}
        turns.append(turn(number, *rounds, session=session, **more))
    return scenario(*turns, turn(len(turns)))  # a run in which every text is refused shows nothing


# ---------------------------------------------------------------------------------------------------------------------
# Trims, right and wrong


def broken(history: Sequence[Message], random: Random) -> list[Message]:
    """Drop, move and double messages in some wrong way, or do not; the newest message stays."""
    *old, newest = history
    place = random.randrange(len(old) + 1)
    match random.randrange(14):
        case 0:
            old = old[place:]
        case 1:
            old = [message for message in old if message.role == "system"] + [
                m for m in old[place:] if m.role != "system"
            ]
        case 2:
            del old[place : place + 1]
        case 3:
            old = [message for message in old if random.random() < 0.8]
        case 4 if place < len(old) - 1:
            old[place], old[place + 1] = old[place + 1], old[place]
        case 5 if place < len(old) and old[place].role == "tool":
            old.insert(place, old[place])
        case 6:
            old = [message for message in old if message.role != "system" or random.random() < 0.5]
        case 7:
            return group_safe(history, random)
    return [*old, newest]


def group_safe(history: Sequence[Message], random: Random) -> list[Message]:
    """Cut at a random allowed place: system messages, the newest question and the newest group stay."""
    limit = random.randrange(len(history) + 1)
    return cut(history, lambda kept: len(kept) <= limit)


class Trimmed(Careful):
    """Trims by ``rule`` before every request, in place or only what is sent."""

    contract = Contract()
    trim = None  # type: ignore[assignment]

    def __init__(
        self,
        model: Any,
        tools: Any,
        rule: Callable[[Sequence[Message], Random], list[Message]],
        seed: int,
        in_place: bool,
        log: Log,
        spell: Callable[[Message, int], Any] = lambda message, number: message,
    ) -> None:
        super().__init__(model, tools)
        self.rule, self.random, self.in_place, self.log, self.spell = rule, Random(seed), in_place, log, spell
        self.sent = 0

    def say(self, message: Message) -> None:
        super().say(message)
        if message.role != "tool":
            self.log.append(message)

    def ask(self) -> Core:
        wanted = self.rule(self.history, self.random) if self.random.random() < 0.4 else list(self.history)
        if self.in_place:
            self.history = list(wanted)
        self.log.append(Requested(wanted))
        self.sent += 1
        return (yield wanted)

    def serve(self, wanted: Any) -> Any:
        if isinstance(wanted[0], Message):
            reply = self.model.complete([self.spell(message, self.sent) for message in wanted])
            return reply if isinstance(reply, Message) else msgspec.convert(_plain(reply), Message)
        return super().serve(wanted)


def _plain(reply: dict[str, Any]) -> dict[str, Any]:
    calls = [{"id": entry["id"], **entry["function"]} for entry in reply.get("tool_calls", ())]
    return {"role": reply["role"], "content": reply["content"], "tool_calls": calls}


def play(conversation: Scenario, contract: Contract, log: Log, *how: Any, trace: Path | None = None) -> Outcome:
    def factory(model: Any, tools: Any) -> Trimmed:
        return Trimmed(model, tools, how[0], how[1], how[2], log, *how[3:])

    return run(conversation, factory, options=RunOptions(contract=contract, trace=trace))


def first_found(outcome: Outcome) -> dict[str, int]:
    """Return for each code at which request it was first broken."""
    found: dict[str, int] = {}
    for violation in outcome.violations:
        if violation.request is not None:
            found.setdefault(violation.code, violation.request)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# The claims


@given(plain_turns(), st.integers(0, 2**32), st.booleans(), st.integers(2, 12), st.integers(20, 200))
@settings(max_examples=300)
def test_incremental_checker(conversation: Scenario, seed: int, in_place: bool, messages_max: int, tokens_max: int):
    """
    Judging only what changed finds the same first violations as judging every request anew, whatever a trim does.
    """
    contract = Contract(messages_max=messages_max, tokens_max=tokens_max)
    log: Log = []
    outcome = play(conversation, contract, log, broken, seed, in_place)

    expected = first_violations(log, contract)
    found = {code: at for code, at in first_found(outcome).items() if code in CODES}
    if "LR121" in expected and expected["LR121"] <= min(expected.get("LR108", 10**9), found.get("LR108", 10**9)):
        # What an orphaned result belongs to is not known, nor is its age.
        expected.pop("LR108", None)
        found.pop("LR108", None)
    for code in expected:
        event(code)

    assert expected == found


@given(plain_turns(), st.integers(0, 2**32), st.booleans())
def test_group_safe_trims(conversation: Scenario, seed: int, in_place: bool):
    """
    A trim that keeps whole groups, a suffix and the pinned messages breaks nothing, wherever it cuts.
    """
    assert {} == play(conversation, Contract(), [], group_safe, seed, in_place).broken


@given(eventful_turns(), st.integers(4, 12), st.integers(0, 8), st.booleans())
@settings(max_examples=300)
def test_correct_loop(conversation: Scenario, target: int, above: int, coroutine: bool):
    """
    A correct loop breaks nothing, whatever happens to it.
    """
    kind: type[Careful] = Async if coroutine else Careful

    class Sized(kind):  # type: ignore[valid-type, misc]
        contract = Contract(
            messages_max=target + above, trigger=target + above, target=target, rounds_max=40, asks_approval=True
        )

        def trim(self, messages: Sequence[Message]) -> list[Message]:
            if len(messages) <= target + above:
                return list(messages)
            return cut(messages, lambda kept: len(kept) <= target)

    outcome = run(conversation, Sized)

    assert {} == outcome.broken, outcome.violations[0]


@given(eventful_turns(), st.integers(60, 400))
def test_correct_loop_with_tokens(conversation: Scenario, budget: int):
    """
    The same for a loop that has a budget of tokens.
    """

    class Sized(Careful):
        contract = Contract(tokens_max=budget, rounds_max=40)

        def trim(self, messages: Sequence[Message]) -> list[Message]:
            return cut(messages, lambda kept: sum(message_tokens(message, estimate) for message in kept) <= budget)

    outcome = run(conversation, Sized)

    assert {} == outcome.broken, outcome.violations[0]


def as_copy(message: Message, _: int) -> Message:
    return msgspec.structs.replace(message)


def as_dict(message: Message, _: int) -> dict[str, Any]:
    entry = message.to_dict()
    return entry | {"content": None} if message.tool_calls and not message.content else entry


def as_parts(message: Message, number: int) -> dict[str, Any]:
    """Spell the content as text, as a part, or as two, another way at each request."""
    half = len(message.content) // 2
    parts = [message.content[:half], message.content[half:]] if number % 2 else [message.content]
    return message.to_dict() | {"content": [{"type": "text", "text": text} for text in parts], "extra": number}


@given(plain_turns(), st.integers(0, 2**32), st.booleans(), st.sampled_from([as_copy, as_dict, as_parts]))
def test_spelling(conversation: Scenario, seed: int, in_place: bool, spell: Callable[[Message, int], Any]):
    """
    The verdict is the same for messages, for equal copies of them, and for dicts of any spelling.
    """
    contract = Contract(messages_max=6)
    first = play(conversation, contract, [], broken, seed, in_place)
    other = play(conversation, contract, [], broken, seed, in_place, spell)

    assert first.violations == other.violations
    assert first.judgements == other.judgements


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all examples: a recording is written anew each time."""
    return tmp_path_factory.mktemp("traces") / "trace.jsonl"


@given(conversation=eventful_turns(), seed=st.integers(0, 2**32), said=odd_text)
def test_recording(conversation: Scenario, seed: int, said: str, trace: Path):
    """
    A recording gives the verdict that the run gave, also with text that JSON or UTF-8 cannot hold.
    """
    turns = [
        msgspec.structs.replace(plan, say=plan.say + said, answer=plan.answer + said) for plan in conversation.turns
    ]
    conversation = msgspec.structs.replace(conversation, turns=turns)
    outcome = play(conversation, Contract(messages_max=6, trigger=4, target=3), [], broken, seed, True, trace=trace)

    assert list(outcome.violations) == list(check(read(trace)))
