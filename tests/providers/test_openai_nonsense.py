"""Whatever is sent to OpenAI's APIs, it is taken or refused: there is no third way."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message, ToolCall
from looprig.providers import PROVIDERS
from looprig.providers.base import Answer, Refused, Seen
from looprig.providers.openai_chat import ORDER as CHAT
from looprig.providers.openai_responses import ORDER as RESPONSES

# fmt: off
KEYS = ("role", "content", "type", "text", "tool_calls", "tool_call_id", "id", "call_id", "name", "arguments", "output",
        "function", "custom", "input", "summary", "refusal")
WORDS = st.sampled_from([
    *KEYS, "user", "assistant", "system", "developer", "tool", "function_call", "function_call_output", "reasoning",
    "message", "input_text", "output_text", "item_reference", "custom_tool_call", "rs_1", "msg_rs_1", "call_a",
])
# fmt: on
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | st.text(max_size=3) | WORDS
ANY = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=14,
)
ITEMS = st.lists(st.dictionaries(st.sampled_from(KEYS), ANY, min_size=1, max_size=5) | ANY, max_size=4)
SAID = Answer(
    id="1",
    created=1,
    model="gpt-5",
    message=Message("assistant", "a", (ToolCall("call_a", "f"),)),
    pieces=(("a",), ("{}",)),
)


@pytest.mark.parametrize(
    ("name", "key", "fields"), [("openai-chat", "messages", CHAT), ("openai-responses", "input", RESPONSES)]
)
@given(data=st.data())
def test_nonsense(name: str, key: str, fields: Any, data: st.DataObject):
    """
    Items and fields of any kind: no other error comes out than a refusal, and what is taken can be answered.
    """
    given_fields = data.draw(st.dictionaries(st.sampled_from(sorted(fields)), ANY, max_size=3))
    raw = msgspec.json.encode({key: data.draw(ITEMS | ANY), "model": "gpt-5", **given_fields})
    try:
        received = PROVIDERS[name].receive(raw, Seen())
    except Refused as refusal:
        problem = refusal.problem
        assert 400 <= problem.status < 500
        assert problem.message == json.loads(PROVIDERS[name].problem(problem, "req_1"))["error"]["message"]
    else:
        assert json.loads(PROVIDERS[name].answer(SAID, received))
        assert PROVIDERS[name].stream(SAID, received).tail


@given(st.binary(max_size=30))
def test_noise(noise: bytes):
    """
    Bytes of no kind are refused.
    """
    for name in ("openai-chat", "openai-responses"):
        with pytest.raises(Refused):
            PROVIDERS[name].receive(noise, Seen())
