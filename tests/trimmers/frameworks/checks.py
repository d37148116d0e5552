"""What every codec of a framework is held to, in both environments."""

from __future__ import annotations

from looprig.messages import Message
from looprig.trimmers import letters
from looprig.trimmers.contract import Codec, NotRepresentable, Subject, lost_by
from looprig.trimmers.driver import chosen, play
from looprig.trimmers.histories import short

GROWING = "U C2 T T A U C1 T C1 T A U C1"


def round_trips(subject: Subject) -> tuple[int, int]:
    """Return how many short histories come back as they were, and how many cannot be held; none is altered."""
    held = unheld = 0
    for history in short():
        messages = letters.build(history)
        if subject.contract(1).system_apart:
            messages = [message for message in messages if message.role != "system"]
        try:
            lost = lost_by(subject.codec, messages)
        except NotRepresentable:
            unheld += 1
            continue
        assert lost is None, f"{letters.written(messages)}: {lost}"
        held += 1
    return held, unheld


def grows(codec: Codec, text: str = GROWING) -> None:
    """Assert that a history to which messages are added one by one is what it is when it is loaded at once."""
    messages = letters.build(letters.read(text))
    native = added(codec, [], messages[:1])
    for message in messages[1:]:
        native = added(codec, native, [message])
    assert messages == codec.dump(native)


def added(codec: Codec, native: list[object], messages: list[Message]) -> list[object]:
    """Return *native* with *messages* added, as a loop under test adds them."""
    extend = getattr(codec, "extend", None)
    return extend(native, messages) if extend is not None else [*native, *codec.load(messages)]


def breaks(subject: Subject, history: str, limit: int) -> set[str]:
    """Return the codes of what *subject* breaks with one history at one limit."""
    subject.make(limit)(subject.codec.load(letters.build(letters.read(history))))  # what it imports late is there now
    findings = play(subject, chosen(subject, history, [limit]))
    assert 1 == findings.runs
    return set(findings.broken)
