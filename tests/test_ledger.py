"""The ledger against a naive oracle: whatever a loop sends, the events say exactly that, at a cost of what is new."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looprig.ledger import Ledger, positions_of
from looprig.loop import Contract
from looprig.messages import Message, ToolCall
from looprig.observe import Observer, RequestView
from looprig.scenario import Turn
from looprig.trace import Reply, Request, SessionStarted, TurnStarted


class Oracle:
    """Rebuilds each request from its event and from what was said, with complete lists."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self.request: list[Message] = []
        self.sent_before: list[Message] = []

    def resolve(self, event: Request) -> list[Message]:
        self.said += event.new
        for position, message in event.again:
            assert self.said[position] == message
        kept = self.request if event.extends else []
        self.request = [*kept, *(self.said[position] for position in positions_of(event.spans))]
        return self.request

    def copied(self, event: Request, sent: list[Message]) -> bool:
        """Say whether *event* may be right: where nothing is ambiguous, exactly those are copied that are."""
        before, self.sent_before = self.sent_before, list(sent)
        if len(set(self.said)) < len(self.said) or len(set(sent)) < len(sent):
            return 0 <= event.copied <= len(sent)
        olds = {message: message for message in before}
        kept = [message for message in sent if message in olds]
        if kept != [message for message in before if message in kept]:
            return 0 <= event.copied <= len(kept)
        return event.copied == sum(olds[message] is not message for message in kept)


class Conversation:
    """A user, a model, and a loop that does what it likes with its history, told to a ledger and an observer."""

    def __init__(self, random: Random, texts: int) -> None:
        self.random = random
        self.texts = texts
        self.ledger, self.observer, self.oracle = Ledger(0), Observer(), Oracle()
        self.observer.see(SessionStarted(session=0, contract=Contract(notes=("note",))))
        self.history: list[Message] = []
        self.everything: list[Message] = []
        self.turn = -1
        self.next_turn()

    def text(self) -> str:
        return f"text {self.random.randrange(self.texts)}"

    def next_turn(self) -> None:
        self.turn += 1
        message = Message(role="user", content=self.text())
        self.observer.see(TurnStarted(turn=self.turn, plan=Turn(say=message.content, answer=""), at_s=0.0))
        self._said(message)

    def reply(self) -> None:
        count = self.random.randrange(3)
        calls = tuple(ToolCall(id=f"call_{self.random.randrange(4)}", name="search") for _ in range(count))
        message = Message(role="assistant", content=self.text(), tool_calls=calls)
        self.observer.see(Reply(session=0, turn=self.turn, round=0, at_s=0.0, message=message))
        self._said(message)
        self.history += [Message(role="tool", content=self.text(), tool_call_id=call.id) for call in calls]
        self.everything += self.history[len(self.history) - count :]

    def _said(self, message: Message) -> None:
        self.ledger.say(message)
        self.oracle.said.append(message)
        self.history.append(message)
        self.everything.append(message)

    def disturb(self) -> None:
        random, history = self.random, self.history
        at = random.randrange(len(history)) if history else 0
        match random.randrange(9):
            case 0:
                del history[:at]
            case 1:
                del history[at : at + random.randrange(4)]
            case 2:
                random.shuffle(history)
            case 3:
                history.insert(at, random.choice(self.everything))  # one that was dropped comes back, or is repeated
            case 4:
                history[at:] = [*history[at:], *history[at:]]
            case 5 if history:
                history[at] = msgspec.structs.replace(history[at], content=self.text())
            case 6:
                history.insert(at, Message(role="system", content=self.text()))
            case 7:
                history.insert(at, Message(role="user", content=self.text(), name="note"))
            case _:
                history[:] = [msgspec.structs.replace(message) for message in history]  # equal, but other objects

    def send(self) -> None:
        self.history = self.history or [Message(role="user", content=self.text())]
        sent = list(self.history)
        event = self.ledger.request(list(sent), self.turn)
        view = self.observer.see(event)

        assert sent == self.oracle.resolve(event)
        assert self.oracle.copied(event, sent)
        assert isinstance(view, RequestView)
        assert sent == [entry.message for entry in view.entries]
        assert sent == self.ledger.remembered()
        assert len(self.oracle.said) == view.session.positions
        assert all(self.oracle.said[entry.position] == entry.message for entry in view.entries)


@given(
    st.randoms(use_true_random=False), st.sampled_from([1, 3, 1000]), st.lists(st.sampled_from("ursdd"), max_size=30)
)
@settings(max_examples=300)
def test_any_conversation(random: Random, texts: int, steps: list[str]):
    """
    After cuts, reorders, repeats, edits and returns, the events give every request back, message by message.
    """
    conversation = Conversation(random, texts)
    acts = {
        "u": conversation.next_turn,
        "r": conversation.reply,
        "s": conversation.send,
        "d": conversation.disturb,
    }
    for step in steps:
        acts[step]()
    conversation.send()


@given(st.randoms(use_true_random=False))
def test_faithful_loop(random: Random):
    """
    A loop that only ever appends costs one span a request, and nothing is new but what only it can know.
    """
    conversation = Conversation(random, 1000)
    for _ in range(10):
        event = conversation.ledger.request(list(conversation.history), conversation.turn)
        assert event.extends
        assert len(event.spans) <= 1
        assert {"tool"} >= {message.role for message in event.new}
        assert () == event.again
        conversation.reply()


def say(ledger: Ledger, role: Any, content: str, **fields: Any) -> Message:
    message = Message(role=role, content=content, **fields)
    ledger.say(message)
    return message


def test_by_hand():
    """
    The numbers of a small conversation: said, new, dropped, and come back.
    """
    ledger = Ledger(4)
    system, hi = Message(role="system", content="be kind"), say(ledger, "user", "hi")
    assert Request(session=4, turn=0, extends=True, spans=((1, 2), (0, 1)), new=(system,)) == ledger.request(
        [system, hi], 0
    )
    hello, bye = say(ledger, "assistant", "hello"), say(ledger, "user", "bye")
    assert Request(session=4, turn=1, extends=True, spans=((2, 4),)) == ledger.request([system, hi, hello, bye], 1)
    assert Request(session=4, turn=1, spans=((1, 2), (3, 4))) == ledger.request([system, bye], 1)
    back = Request(session=4, turn=1, extends=True, spans=((0, 1),), again=((0, hi),))
    assert back == ledger.request([system, bye, hi], 1)


def test_copies():
    """
    Counted as copied is a message that is another object than the equal one of the request before, cut or not.
    """
    ledger = Ledger(0)
    history = [say(ledger, "user", f"message {number}") for number in range(4)]
    copies = [msgspec.structs.replace(message) for message in history]

    requests = [history, history, copies, copies, copies[1:], history[2:], [*history[2:], copies[0]]]
    assert [0, 0, 4, 0, 0, 2, 0] == [ledger.request(list(messages), 0).copied for messages in requests]


def test_equal_messages():
    """
    Of two equal messages the newer one is taken to have been kept.
    """
    ledger = Ledger(0)
    twice = [say(ledger, "user", "again"), say(ledger, "assistant", "ok"), say(ledger, "user", "again")]
    ledger.request(list(twice), 0)

    assert ((1, 3),) == ledger.request(twice[1:], 0).spans
    assert ((2, 3),) == ledger.request(twice[2:], 0).spans


def test_equal_messages_in_order():
    """
    Equal messages are matched in the order of the conversation: what stands before another message was before it.
    """
    ledger = Ledger(0)
    twice = [say(ledger, "user", "again"), say(ledger, "assistant", "ok"), say(ledger, "user", "again")]
    ledger.request(list(twice), 0)

    assert ((0, 2),) == ledger.request(twice[:2], 0).spans


def test_equal_results_of_reused_ids():
    """
    A result that equals an older one is a new message where it answers an open call.
    """
    ledger = Ledger(0)
    history = [say(ledger, "user", "go")]
    for _ in range(3):
        history.append(say(ledger, "assistant", "", tool_calls=(ToolCall(id="call_1", name="search"),)))
        history.append(Message(role="tool", content="nothing", tool_call_id="call_1"))
        event = ledger.request(list(history), 0)
        assert history[-1:] == list(event.new)
        assert () == event.again


# ---------------------------------------------------------------------------------------------------------------------
# Cost


class Counted(str):
    """A text that counts how often it is compared and hashed."""

    __slots__ = ()
    compared = 0
    hashed = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        Counted.hashed += 1
        return str.__hash__(self)


def grown(size: int) -> tuple[Ledger, list[Message]]:
    ledger = Ledger(0)
    history = [say(ledger, "user" if number % 2 else "assistant", Counted(number)) for number in range(size)]
    ledger.request(list(history), 0)
    return ledger, history


@pytest.mark.parametrize("size", [10, 1_000, 20_000])
def test_cost_of_an_extension(size: int):
    """
    A request that adds to the one before compares and hashes what it adds, however long the history is.
    """
    ledger, history = grown(size)
    history.append(say(ledger, "user", Counted("one more")))
    Counted.compared = Counted.hashed = 0
    event = ledger.request(list(history), 0)

    assert ((size, size + 1),) == event.spans
    assert Counted.compared <= 1
    assert 0 == Counted.hashed


@pytest.mark.parametrize("size", [10, 1_000, 20_000])
def test_cost_of_a_cut(size: int):
    """
    A request that drops something costs work in proportion to the history, and not to its square.
    """
    ledger, history = grown(size)
    Counted.compared = Counted.hashed = 0
    event = ledger.request(history[size // 2 :], 0)

    assert ((size // 2, size),) == event.spans
    assert Counted.compared <= 2 * size
    assert Counted.hashed <= 3 * size


def test_size_of_events():
    """
    A conversation of n requests is written in events of the order of n, not of its square.
    """
    ledger = Ledger(0)
    history: list[Message] = []
    sizes = []
    for number in range(500):
        history.append(say(ledger, "user", f"message {number}"))
        sizes.append(len(msgspec.json.encode(ledger.request(list(history), number))))
        if number % 50 == 49:
            history = history[-10:]

    assert max(sizes) < 120


def test_remembered():
    """
    What a loop that never trims would send next is the last request and what was said since.
    """
    ledger = Ledger(0)
    hi = say(ledger, "user", "hi")
    assert [hi] == ledger.remembered()
    system = Message(role="system", content="be kind")
    ledger.request([system, hi], 0)
    hello = say(ledger, "assistant", "hello")

    assert [system, hi, hello] == ledger.remembered()


@given(st.lists(st.integers(0, 5), max_size=10))
def test_spans(positions: list[int]):
    """
    Spans are the positions they were made of, in order.
    """
    from looprig.ledger import _spans

    assert positions == positions_of(_spans(positions))
