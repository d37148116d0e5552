"""Histories in letters: ``S U C2 T T A``, built the same every time, and messages written as letters again.

=====  ==========================================================================
``S``  a system message
``U``  a user's message
``A``  an answer
``C2`` a message that asks for two tools
``T``  a tool's result: of the oldest call that still waits for one, else of none
=====  ==========================================================================

``U!`` is a giant of 2,000 characters, where every other message has about 40, which is ten tokens. ``C1=`` uses a
call id that was used before. ``(U A)x20`` repeats.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from looprig.messages import Message, ToolCall

CHARS = 40
GIANT_CHARS = 2000
TOOL = "look"

_LETTER = re.compile(r"(?:[SUAT]|C(?P<calls>[1-9]\d?))(?P<marks>[!=]{0,2})")
_REPEAT = re.compile(r"\(([^()]*)\)\s*x(\d{1,6})")
MESSAGES_MAX = 200_000


class NotLetters(ValueError):
    """A text that is no history in letters; says where and why."""


def read(text: str) -> tuple[str, ...]:
    """Return the letters of *text*, repeats written out.

    Raises:
        NotLetters: where it has others.
    """
    while found := _REPEAT.search(text):
        inner, times = found.group(1), int(found.group(2))
        if len(inner.split()) * times > MESSAGES_MAX:
            raise NotLetters(f"{found.group()!r} makes more than {MESSAGES_MAX:,} messages")
        text = f"{text[: found.start()]} {f'{inner} ' * times} {text[found.end() :]}"
    letters = tuple(text.split())
    for at, letter in enumerate(letters, 1):
        if not _LETTER.fullmatch(letter):
            raise NotLetters(
                f"{letter!r} (number {at}) is no letter of a history; write S, U, A, T or C1 to C99, as in "
                "'S U C2 T T A', with ! behind a giant, = behind a call that reuses an id, and (U A)x20 to repeat"
            )
    if not letters:
        raise NotLetters("a history has at least one letter, as in 'S U C2 T T A'")
    return letters


def build(letters: Iterable[str]) -> list[Message]:
    """Return the history that *letters* stand for: no two messages are equal, but for that always the same."""
    history: list[Message] = []
    waiting: list[str] = []
    for at, letter in enumerate(letters):
        found = _LETTER.fullmatch(letter)
        assert found is not None, f"{letter!r} was not read by read()"
        marks = found["marks"]
        chars = GIANT_CHARS if "!" in marks else CHARS
        if found["calls"]:
            message = _asking(at, int(found["calls"]), chars, "=" in marks)
            waiting += [call.id for call in message.tool_calls]
        elif letter[0] == "T":
            id_ = waiting.pop(0) if waiting else f"call_{at}_nobody"
            message = Message(role="tool", content=_text(f"result {at}:", chars), tool_call_id=id_)
        else:
            message = _said(letter[0], at, chars)
        history.append(message)
    return history


def _said(letter: str, at: int, chars: int) -> Message:
    match letter:
        case "S":
            return Message(role="system", content=_text(f"rule {at}:", chars))
        case "U":
            return Message(role="user", content=_text(f"question {at}:", chars))
        case _:
            return Message(role="assistant", content=_text(f"answer {at}:", chars))


def _asking(at: int, calls: int, chars: int, reused: bool) -> Message:
    """All calls together are as long as another message."""
    bare = len(TOOL) + len(json.dumps({"q": f"{at}.{0}:"}))
    filler = max(0, chars // calls - bare)
    made = (
        ToolCall(
            id=f"call_{number}" if reused else f"call_{at}_{number}",
            name=TOOL,
            arguments=json.dumps({"q": _text(f"{at}.{number}:", len(f"{at}.{number}:") + filler)}),
        )
        for number in range(calls)
    )
    return Message(role="assistant", tool_calls=tuple(made))


def _text(head: str, chars: int) -> str:
    return head.ljust(chars, "-")


def written(messages: Sequence[Message], known: Iterable[Message] = (), at_most: int = 24) -> str:
    """Return *messages* as letters; with *known*, those that are not among these are ``?``.

    The middle is left out where it is long.
    """
    there = set(known)
    letters = [_letter(message) if not there or message in there else f"{_letter(message)}?" for message in messages]
    if len(letters) > at_most:
        letters = [*letters[: at_most - 8], f"..{len(letters) - at_most}..", *letters[-8:]]
    return " ".join(letters) or "(nothing)"


def _letter(message: Message) -> str:
    if message.tool_calls:
        return f"C{len(message.tool_calls)}"
    return {"system": "S", "user": "U", "assistant": "A", "tool": "T"}[message.role]


def folded(letters: Sequence[str]) -> str:
    """Return *letters* as text that `read` reads, with what repeats at some place written once: ``S U (C1 T)x203``."""
    out: list[str] = []
    at = 0
    while at < len(letters):
        period, times = _best_repeat(letters, at)
        part = " ".join(letters[at : at + period])
        out.append(part if times < 3 else f"({part})x{times}")
        at += period * (times if times >= 3 else 1)
    return " ".join(out)


def _best_repeat(letters: Sequence[str], at: int) -> tuple[int, int]:
    best = (1, 1)
    for period in range(1, 24):
        times = 1
        while letters[at + period * times : at + period * (times + 1)] == letters[at : at + period]:
            times += 1
            if at + period * (times + 1) > len(letters):
                break
        if times >= 3 and period * times > best[0] * best[1]:
            best = (period, times)
    return best
