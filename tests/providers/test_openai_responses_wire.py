"""An answer as events says what the answer at once says, in the order that was recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message, ToolCall
from looprig.providers import PROVIDERS
from looprig.providers.base import Answer, Received, Stream, Usage
from tests.providers.test_openai_chat_wire import answer, answers, asked

RESPONSES = PROVIDERS["openai-responses"]
SEARCH = ToolCall("call_a", "search", '{"query":"x"}')

PLAIN = asked(stream_options={"include_obfuscation": False})


def events(stream: Stream) -> list[dict[str, Any]]:
    """Read a stream's events: each has its name twice and the next number, and none says that it is the last."""
    blocks = b"".join([stream.head, *stream.deltas, stream.tail]).decode().split("\n\n")
    assert "" == blocks.pop()
    read = []
    for number, block in enumerate(blocks):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert f"event: {event['type']}" == name
        assert number == event["sequence_number"]
        read.append(event)
    return read


def names(read: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in read]


def test_text():
    """
    Of a text: the response, its item and the part begin, the text grows, and each is done.
    """
    read = events(RESPONSES.stream(answer("Hi you", pieces=(("Hi", " you"),)), PLAIN))

    assert [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ] == names(read)
    assert {
        "type": "response.output_text.delta",
        "sequence_number": 4,
        "item_id": "msg_abc",
        "output_index": 0,
        "content_index": 0,
        "delta": "Hi",
        "logprobs": [],
    } == read[4]
    assert ("in_progress", [], None) == tuple(read[0]["response"][key] for key in ("status", "output", "usage"))
    assert ("in_progress", []) == (read[2]["item"]["status"], read[2]["item"]["content"])
    assert ("completed", "Hi you") == (read[8]["item"]["status"], read[8]["item"]["content"][0]["text"])


def test_one_delta():
    """
    A delta, to the byte.
    """
    stream = RESPONSES.stream(answer("Hi", pieces=(("Hi",),)), PLAIN)

    assert [
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_abc","output_index":0,'
        b'"content_index":0,"delta":"Hi","logprobs":[]}\n\n'
    ] == list(stream.deltas)


def test_calls():
    """
    Of a text with calls: each is an item of its own, one after another.
    """
    other = ToolCall("call_b", "save", "")
    said = answer("Wait", SEARCH, other, pieces=(("Wait",), ('{"query":', '"x"}'), ()))
    read = events(RESPONSES.stream(said, PLAIN))

    begin, delta, done = "output_item.added", "function_call_arguments.delta", "function_call_arguments.done"
    assert [begin, delta, delta, done, "output_item.done", begin, done, "output_item.done", "completed"] == names(
        read[8:]
    )
    assert ("call_a", "search", "") == tuple(read[8]["item"][key] for key in ("call_id", "name", "arguments"))
    assert '{"query":"x"}' == read[11]["arguments"] == read[12]["item"]["arguments"]
    assert ["message", "function_call", "function_call"] == [item["type"] for item in read[-1]["response"]["output"]]


def test_what_is_sent_when():
    """
    The beginning of the first item goes out at once, that of a later one with its first delta, and the rest last.
    """
    said = answer("", SEARCH, ToolCall("call_b", "save", "{}"), pieces=((), ("{}",), ("{}",)))
    stream = RESPONSES.stream(said, PLAIN)

    assert [3, 1, 4, 3] == [part.count(b"event: ") for part in (stream.head, *stream.deltas, stream.tail)]


def test_reasoning():
    """
    A model that reasons says so first, in an item of its own, and with what it is asked to encrypt.
    """
    said, received = answer("Hi", pieces=(("Hi",),), model="gpt-5"), asked("gpt-5")
    read = events(RESPONSES.stream(said, received))

    assert ["created", "in_progress", "output_item.added", "output_item.done", "output_item.added"] == names(read[:5])
    assert {"id": "rs_abc", "type": "reasoning", "summary": []} == read[3]["item"]
    assert ["rs_abc", "msg_rs_abc"] == [item["id"] for item in read[-1]["response"]["output"]]
    encrypted = json.loads(RESPONSES.answer(said, asked("gpt-5", include=["reasoning.encrypted_content"])))
    assert encrypted["output"][0]["encrypted_content"]


def test_obfuscation():
    """
    Deltas carry padding, the same at each time, unless the request wants none; other events have none.
    """
    said = answer("Hi you", pieces=(("Hi", " you"),))
    read = events(RESPONSES.stream(said, asked()))

    assert [14, 12] == [len(event["obfuscation"]) for event in read if "obfuscation" in event]
    assert read == events(RESPONSES.stream(said, asked()))
    assert not [event for event in events(RESPONSES.stream(said, PLAIN)) if "obfuscation" in event]


def test_answer():
    """
    An answer at once has the items, the usage, and what the request said of itself.
    """
    said = answer("", SEARCH, pieces=((), ("{}",)), usage=Usage(prompt=50, cached=40, completion=5))
    received = asked(instructions="Be brief.", temperature=0, tools=[{"type": "function", "name": "search"}])

    body = json.loads(RESPONSES.answer(said, received))

    assert [
        {
            "id": "fc_0_abc",
            "type": "function_call",
            "status": "completed",
            "arguments": '{"query":"x"}',
            "call_id": "call_a",
            "name": "search",
        }
    ] == body["output"]
    assert {
        "input_tokens": 50,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 55,
    } == body["usage"]
    assert ("resp_abc", "response", 7, "completed", "gpt-4o", True) == tuple(
        body[key] for key in ("id", "object", "created_at", "status", "model", "store")
    )
    assert ("Be brief.", 0, received.fields["tools"]) == (body["instructions"], body["temperature"], body["tools"])


@pytest.mark.parametrize(("stop", "status"), [("stop", "completed"), ("length", "incomplete")])
def test_status(stop: str, status: str):
    """
    An answer that was cut off is incomplete, and says why.
    """
    said = answer("Hi", pieces=(("Hi",),), stop=stop)
    last = events(RESPONSES.stream(said, PLAIN))[-1]

    assert f"response.{status}" == last["type"]
    assert status == last["response"]["status"] == json.loads(RESPONSES.answer(said, PLAIN))["status"]
    assert ({"reason": "max_output_tokens"} if stop == "length" else None) == last["response"]["incomplete_details"]


def test_broken_off():
    """
    An error after the status was sent is an event, nested.
    """
    assert (
        b'event: error\ndata: {"type":"error","sequence_number":0,"error":{"type":"server_error","code":null,'
        b'"message":"The server had an error while processing your request. Sorry about that!","param":null}}\n\n'
    ) == RESPONSES.broken_off(RESPONSES.fault("server_error"))


def test_text_that_utf8_cannot_hold():
    """
    A text with half a character is escaped, in an event and in an answer.
    """
    said = answer("a\ud800", pieces=(("a", "\ud800"),))

    assert "\ud800" == events(RESPONSES.stream(said, PLAIN))[5]["delta"]
    assert "a\ud800" == json.loads(RESPONSES.answer(said, PLAIN))["output"][0]["content"][0]["text"]


@given(answers(), st.booleans(), st.sampled_from(["gpt-4o", "gpt-5"]))
def test_stream_is_the_answer(said: Answer, obfuscated: bool, model: str):
    """
    Read by the official client, each event is one that it knows, and put together they are the answer.
    """
    from openai import omit
    from openai.lib.streaming.responses._responses import ResponseStreamState
    from openai.types.responses import Response, ResponseStreamEvent
    from pydantic import TypeAdapter

    received = asked(model, stream_options={"include_obfuscation": obfuscated})
    stream = RESPONSES.stream(said, received)
    known: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    snapshots: dict[int, str] = {}
    last: Any = None
    read = events(stream)
    for event in read:
        for last in state.handle_event(known.validate_python(event)):
            if last.type.endswith(".delta"):
                snapshots[last.output_index] = last.snapshot

    body = RESPONSES.answer(said, received)
    whole = Response.model_validate_json(body)
    assert json.loads(body) == read[-1]["response"]
    assert "".join(snapshots.values()) == said.message.content + "".join(c.arguments for c in said.message.tool_calls)
    assert whole.output_text == said.message.content == last.response.output_text
    assert whole.usage == last.response.usage
    assert sum(map(len, said.pieces)) == len(stream.deltas)


@given(answers())
def test_answer_goes_back(said: Answer):
    """
    What was answered is taken back with its results, as what was said.
    """
    from looprig.providers.base import Seen
    from tests.providers.response_bodies import body, result, user

    output = json.loads(RESPONSES.answer(said, PLAIN))["output"]
    results = [result(call.id) for call in said.message.tool_calls]

    received: Received = RESPONSES.receive(body(user(), *output, *results), Seen())

    assert said.message == received.messages[1]
    assert [Message("tool", "found", tool_call_id=call.id) for call in said.message.tool_calls] == received.messages[2:]
