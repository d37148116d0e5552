"""Anthropic's answers: as a body and as events, read again by the official client."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message
from looprig.providers.anthropic import Anthropic
from looprig.providers.base import Answer, Received, Seen
from tests.providers.spoken import answers, whole

PROVIDER = Anthropic()
STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}


def received(*, thinking: bool = False) -> Received:
    fields: dict[str, Any] = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "a"}],
    }
    if thinking:
        fields["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    return PROVIDER.receive(msgspec.json.encode(fields), Seen())


def events(raw: bytes) -> list[dict[str, Any]]:
    """Read events; each has its name twice."""
    found = []
    for block in raw.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        event: dict[str, Any] = json.loads(data.removeprefix("data: "))
        assert f"event: {event['type']}" == name
        found.append(event)
    return found


class Line:
    """The official client on a line that answers with what was put on it."""

    def __init__(self) -> None:
        self.kind, self.content = "", b""
        transport = httpx2.MockTransport(self._handle)
        self.client = anthropic.Anthropic(
            api_key="none", base_url="http://localhost", http_client=httpx2.Client(transport=transport)
        )

    def _handle(self, _request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": self.kind}, content=self.content)

    def body(self, content: bytes) -> anthropic.types.Message:
        self.kind, self.content = "application/json", content
        read: anthropic.types.Message = self.client.messages.create(**ASK)
        return read

    def events(self, content: bytes) -> anthropic.types.Message:
        self.kind, self.content = "text/event-stream; charset=utf-8", content
        with self.client.messages.stream(**ASK) as streamed:
            final: anthropic.types.Message = streamed.get_final_message()
            return final


ASK: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}
LINE = Line()


@given(answers("claude-sonnet-4-5"), st.booleans())
def test_stream_is_the_answer(said: Answer, thinking: bool):
    """
    The official client makes of the events what it makes of the body; and the body says what the model said.
    """
    asked = received(thinking=thinking)
    body, stream = PROVIDER.answer(said, asked), PROVIDER.stream(said, asked)
    plain, built = LINE.body(body), LINE.events(whole(stream))

    left, right = plain.to_dict(), built.to_dict()
    assert _bare(left) == _bare(right)
    blocks = [block for block in plain.content if block.type != "thinking"]
    assert said.message.content == "".join(block.text for block in blocks if block.type == "text")
    calls = [(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"]
    assert [(call.id, call.name, json.loads(call.arguments)) for call in said.message.tool_calls] == calls
    assert thinking == (len(blocks) < len(plain.content))
    assert STOPS[said.stop] == plain.stop_reason
    assert said.usage.prompt == plain.usage.input_tokens + (plain.usage.cache_read_input_tokens or 0)
    assert said.usage.completion == plain.usage.output_tokens


def _bare(value: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if each is not None and key not in {"parsed_output"}}


@given(answers("claude-sonnet-4-5"))
def test_order_of_events(said: Answer):
    """
    The events of a stream come in the provider's order, a ping behind the first block's start; deltas are the pieces.
    """
    stream = PROVIDER.stream(said, received())
    found = events(whole(stream))

    names = [event["type"] for event in found]
    assert ["message_start", "message_delta", "message_stop"] == [names[0], *names[-2:]]
    assert {"stop_reason": STOPS[said.stop], "stop_sequence": None} == found[-2]["delta"]
    assert {"content": [], "stop_reason": None}.items() <= found[0]["message"].items()
    assert 1 <= found[0]["message"]["usage"]["output_tokens"] <= min(8, said.usage.completion)
    if len(names) > 3:
        assert ["content_block_start", "ping"] == names[1:3]
    starts = [event for event in found if event["type"] == "content_block_start"]
    assert list(range(len(starts))) == [event["index"] for event in starts]
    texts, arguments = _deltas(found, "text"), _deltas(found, "partial_json")
    assert list(said.pieces[0]) == texts
    assert [piece for pieces in said.pieces[1:] for piece in ("", *pieces)] == arguments
    assert sum(map(len, said.pieces)) == len(stream.deltas)


def _deltas(found: list[dict[str, Any]], key: str) -> list[str]:
    return [event["delta"][key] for event in found if key in event.get("delta", {})]


def test_padding():
    """
    The JSON of events has spaces before its last brace, more or less of them, and the same ones each time.
    """
    pieces = ("ab",) * 40
    said = Answer(id="1", created=1, model="claude-sonnet-5", message=Message("assistant", "ab" * 40), pieces=(pieces,))
    stream = PROVIDER.stream(said, received())

    assert len(set(map(len, stream.deltas[1:]))) > 8
    assert stream == PROVIDER.stream(said, received())


def test_broken_off():
    """
    An error behind the status 200 is an event of its own, and the official client raises it.
    """
    problem = PROVIDER.fault("overloaded")
    raw = PROVIDER.broken_off(problem)
    assert b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n' == raw
    said = Answer(id="1", created=1, model="m", message=Message("assistant", "ab"), pieces=(("a", "b"),))
    stream = PROVIDER.stream(said, received())
    broken = stream.head + stream.deltas[0] + raw
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        LINE.events(broken)


def test_a_reply_of_nothing():
    """
    An answer without text or calls is a message without blocks.
    """
    said = Answer(id="1", created=1, model="m", message=Message("assistant"), pieces=((),))

    assert [] == msgspec.json.decode(PROVIDER.answer(said, received()))["content"]
    stream = PROVIDER.stream(said, received())
    assert ["message_start", "message_delta", "message_stop"] == [event["type"] for event in events(whole(stream))]
