"""What holds of Anthropic's rules for every conversation: whole, broken, and growing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from unittest import mock

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from looprig.messages import Message
from looprig.providers import anthropic_rules
from looprig.providers.anthropic import Anthropic
from looprig.providers.anthropic_calm import Stretch
from looprig.providers.base import Problem, Refused, Seen
from tests.providers.spoken import calls_in, conversations, without_call, without_result

PROVIDER = Anthropic()
NEW, OLD = "claude-sonnet-5", "claude-sonnet-4-5"


def entry(message: Message) -> dict[str, Any]:
    """Spell *message* as clients do, for the API."""
    if message.role == "tool":
        block = {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.content}
        return {"role": "user", "content": [block]}
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}
        for call in message.tool_calls
    ]
    text = [{"type": "text", "text": message.content}] if message.content else []
    return {"role": message.role, "content": [*text, *calls] if calls else message.content}


def request(entries: Sequence[Any], **more: Any) -> bytes:
    return msgspec.json.encode({"model": NEW, "max_tokens": 100, "messages": entries, **more})


def verdict(raw: bytes, seen: Seen) -> Problem | list[Message]:
    try:
        return PROVIDER.receive(raw, seen).messages
    except Refused as refused:
        return refused.problem


@given(conversations())
def test_whole(messages: list[Message]):
    """
    Every conversation of whole groups is taken, over HTTP and in the process, and reads as what was said.
    """
    assert messages == verdict(request([entry(message) for message in messages]), Seen())
    assert PROVIDER.judge(messages, 0, Seen()) is None


@given(conversations(), st.data())
def test_deleted(messages: list[Message], data: st.DataObject):
    """
    A conversation without one of its results breaks A1, without one of its calls A2; both ways of asking agree.
    """
    assume(calls_in(messages))
    number = data.draw(st.integers(0, calls_in(messages) - 1))
    for cut, rule in ((without_result, "A1"), (without_call, "A2")):
        broken = cut(messages, number)
        problem = PROVIDER.judge(broken, 0, Seen())
        assert problem is not None
        assert rule == problem.rule
        assert problem == verdict(request([entry(message) for message in broken]), Seen())


BLOCKS = st.sampled_from(
    [
        {"type": "text", "text": "a"},
        {"type": "text", "text": " "},
        {"type": "tool_use", "id": "a", "name": "read", "input": {}},
        {"type": "tool_use", "id": "b", "name": "read", "input": {}},
        {"type": "tool_result", "tool_use_id": "a", "content": "x"},
        {"type": "tool_result", "tool_use_id": "b", "content": "x"},
        {"type": "thinking", "thinking": "x", "signature": "y"},
    ]
)
ENTRIES = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "user", "assistant", "system"]),
        "content": st.sampled_from(["", "a", " "]) | st.lists(BLOCKS, max_size=3),
    }
)
ANYTHING = st.lists(ENTRIES, max_size=7)
GROWN = conversations().map(lambda messages: [entry(message) for message in messages])
ENTRY_LISTS = ANYTHING | st.builds(lambda whole, more: whole + more, GROWN, ANYTHING)
SETTINGS = st.fixed_dictionaries(
    {"model": st.sampled_from([NEW, OLD])},
    optional={"thinking": st.just({"type": "enabled"}), "tools": st.just([{"name": "read"}])},
)


@given(ENTRY_LISTS, st.lists(st.tuples(st.integers(0, 30), SETTINGS), min_size=1, max_size=6))
def test_growing(entries: list[Any], requests: list[tuple[int, dict[str, Any]]]):
    """
    Whatever was asked before, whole or broken, with these fields or others: the verdict is that on the request alone.
    """
    seen = Seen()
    for size, fields in sorted(requests, key=lambda pair: pair[0]):
        raw = request(entries[:size], **fields)
        assert verdict(raw, Seen()) == verdict(raw, seen)


@given(ENTRY_LISTS, SETTINGS)
def test_calm(entries: list[Any], fields: dict[str, Any]):
    """
    The fast walk through what is calm says what the rules say.
    """
    raw = request(entries, **fields)
    fast = verdict(raw, Seen())
    with mock.patch.object(anthropic_rules, "calm", lambda _items, _start, role, ids: Stretch(0, role, ids, [], [])):
        assert verdict(raw, Seen()) == fast


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
