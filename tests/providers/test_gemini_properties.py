"""What holds of Gemini's rules for every conversation: whole, broken, and growing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from unittest import mock

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from looprig.messages import Message
from looprig.providers.base import Problem, Refused, Seen
from looprig.providers.gemini import Gemini
from looprig.providers.gemini_rules import Walk
from tests.providers.spoken import calls_in, conversations, without_call, without_result

PROVIDER = Gemini()
FLASH, THREE = "gemini-2.5-flash", "gemini-3-pro-preview"


def spell(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Spell *messages* as clients do: the results of a round are one content."""
    contents: list[dict[str, Any]] = []
    before = None
    for message in messages:
        text = [{"text": message.content}] if message.content or not message.tool_calls else []
        calls = [
            {"functionCall": {"id": call.id, "name": call.name, "args": json.loads(call.arguments)}}
            for call in message.tool_calls
        ]
        parts: list[dict[str, Any]] = [*text, *calls]
        if message.role == "tool":
            answer = {"id": message.tool_call_id, "name": "read", "response": {"result": message.content}}
            parts = [{"functionResponse": answer}]
        if message.role == "tool" == before:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": "model" if message.role == "assistant" else "user", "parts": parts})
        before = message.role
    return contents


def request(contents: Sequence[Any], **more: Any) -> bytes:
    return msgspec.json.encode({"contents": contents, **more})


def verdict(raw: bytes, seen: Seen, model: str = FLASH) -> Problem | list[Message]:
    try:
        return PROVIDER.receive(raw, seen, model).messages
    except Refused as refused:
        return refused.problem


@given(conversations())
def test_whole(messages: list[Message]):
    """
    Every conversation of whole groups is taken, over HTTP and in the process, and reads as what was said.
    """
    assert messages == verdict(request(spell(messages)), Seen())
    assert PROVIDER.judge(messages, 0, Seen()) is None


@given(conversations(), st.data())
def test_deleted(messages: list[Message], data: st.DataObject):
    """
    A conversation without one of its results or calls is refused for their number or place; both ways of asking agree.
    """
    assume(calls_in(messages))
    number = data.draw(st.integers(0, calls_in(messages) - 1))
    for cut, rules in ((without_result, {"G1", "G3", "G5"}), (without_call, {"G2", "G3"})):
        broken = cut(messages, number)
        problem = PROVIDER.judge(broken, 0, Seen())
        assert problem is not None
        assert problem.rule in rules
        assert problem == verdict(request(spell(broken)), Seen())


PARTS = st.sampled_from(
    [
        {"text": "a"},
        {"functionCall": {"name": "a", "args": {"n": 1}}},
        {"functionCall": {"name": "a", "id": "x"}, "thoughtSignature": "y"},
        {"function_call": {"name": "b"}},
        {"functionResponse": {"name": "a", "response": {"result": "x"}}},
        {"functionResponse": {"name": "a", "id": "x", "response": {}}},
        {"function_response": {"name": "b", "response": {}}},
        {"functionResponse": {"name": ""}},
    ]
)
CONTENTS = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "model", "user", "model", "function", None]),
        "parts": st.lists(PARTS, max_size=3),
    }
)
LISTS = st.builds(lambda whole, more: spell(whole) + more, conversations(), st.lists(CONTENTS, max_size=5))
MODELS = st.sampled_from([FLASH, THREE])


@given(LISTS, st.lists(st.tuples(st.integers(0, 30), MODELS), min_size=1, max_size=6))
def test_growing(contents: list[Any], requests: list[tuple[int, str]]):
    """
    Whatever was asked before, whole or broken, of this model or another: the verdict is that on the request alone.
    """
    seen = Seen()
    for size, model in sorted(requests):
        raw = request(contents[:size])
        assert verdict(raw, Seen(), model) == verdict(raw, seen, model)


@given(LISTS, MODELS)
def test_calm(contents: list[Any], model: str):
    """
    The fast walk through what is calm says what the rules say.
    """
    raw = request(contents)
    fast = verdict(raw, Seen(), model)
    with mock.patch.object(Walk, "_calm", return_value=0):
        assert verdict(raw, Seen(), model) == fast


@given(conversations(), st.data())
def test_judged_growing(messages: list[Message], data: st.DataObject):
    """
    A conversation judged as it grows is judged as a whole; cut, it is judged from its start.
    """
    if calls_in(messages) and data.draw(st.booleans()):
        messages = without_result(messages, data.draw(st.integers(0, calls_in(messages) - 1)))
    seen, taken = Seen(), 0
    for size in range(1, len(messages) + 1):
        problem = PROVIDER.judge(messages[:size], taken, seen)
        assert problem == PROVIDER.judge(messages[:size], 0, Seen())
        taken = size if problem is None else 0
    cut = messages[len(messages) // 2 :]
    assert PROVIDER.judge(cut, 0, seen) == PROVIDER.judge(cut, 0, Seen())
