"""An answer in chunks says what the answer at once says, in the shape that was recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message, ToolCall
from looprig.providers import PROVIDERS
from looprig.providers.base import Answer, Received, Stream, Usage

CHAT = PROVIDERS["openai-chat"]
SEARCH = ToolCall("call_a", "search", '{"query":"x"}')


def answer(text: str, *calls: ToolCall, pieces: tuple[tuple[str, ...], ...], **more: Any) -> Answer:
    stop = "tool_calls" if calls else "stop"
    message = Message("assistant", text, calls)
    return Answer(
        **{"id": "abc", "created": 7, "model": "gpt-4o", "message": message, "pieces": pieces, "stop": stop, **more}
    )


def asked(model: str = "gpt-4o", **fields: Any) -> Received:
    return Received(fields=fields, model=model, messages=[], stream=True)


PLAIN = asked(stream_options={"include_obfuscation": False})


def chunks(stream: Stream) -> list[dict[str, Any]]:
    """Read a stream's events, all of which are data, the last one the end."""
    lines = b"".join([stream.head, *stream.deltas, stream.tail]).decode().split("\n\n")
    assert ["data: [DONE]", ""] == lines[-2:]
    assert all(line.startswith("data: ") for line in lines[:-1])
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


def deltas(stream: Stream) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(stream) if chunk["choices"]]


def test_text():
    """
    Of a text: the role, the pieces, the reason to stop, to the byte.
    """
    stream = CHAT.stream(answer("Hi you", pieces=(("Hi", " you"),)), PLAIN)

    begin = (
        b'data: {"id":"chatcmpl-abc","object":"chat.completion.chunk","created":7,"model":"gpt-4o",'
        b'"service_tier":"default","system_fingerprint":"fp_%b","choices":[{"index":0,"delta":'
    ) % stream.head[stream.head.index(b"fp_") + 3 :][:10]
    rest = b',"logprobs":null,"finish_reason":null}]}\n\n'
    assert begin + b'{"role":"assistant","content":"","refusal":null}' + rest == stream.head
    assert [begin + b'{"content":"Hi"}' + rest, begin + b'{"content":" you"}' + rest] == list(stream.deltas)
    assert begin + b"{}" + rest.replace(b"null}]", b'"stop"}]') + b"data: [DONE]\n\n" == stream.tail


def test_calls():
    """
    Of calls: the first begins in the chunk of the role, the next in one of its own, and fragments go by index.
    """
    other = ToolCall("call_b", "save", "{}")
    stream = CHAT.stream(answer("", SEARCH, other, pieces=((), ('{"query":', '"x"}'), ("{}",))), PLAIN)

    begins = [
        {"index": n, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        for n, call in enumerate((SEARCH, other))
    ]
    assert [
        {"role": "assistant", "content": None, "tool_calls": [begins[0]], "refusal": None},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"query":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"x"}'}}]},
        {"tool_calls": [begins[1]]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ] == deltas(stream)
    assert 3 == len(stream.deltas)
    assert "tool_calls" == chunks(stream)[-1]["choices"][0]["finish_reason"]


def test_text_and_calls():
    """
    Of a text with calls: the text first, then each call begins in a chunk of its own.
    """
    stream = CHAT.stream(answer("Wait", SEARCH, pieces=(("Wait",), ("{}",))), PLAIN)

    assert [["role", "content", "refusal"], ["content"], ["tool_calls"], ["tool_calls"], []] == [
        list(delta) for delta in deltas(stream)
    ]


def test_call_without_arguments():
    """
    A call of whose arguments nothing is sent still begins.
    """
    bare = ToolCall("call_b", "save", "")
    stream = CHAT.stream(answer("", SEARCH, bare, pieces=((), ("{}",), ())), PLAIN)

    assert ["call_a", None, "call_b"] == [delta["tool_calls"][0].get("id") for delta in deltas(stream)[:-1]]


def test_usage():
    """
    Where usage is asked for every chunk has the key, and one without choices has the figures.
    """
    received = asked(stream_options={"include_usage": True})
    said = answer("Hi", pieces=(("Hi",),), usage=Usage(prompt=50, cached=40, completion=5))
    read = chunks(CHAT.stream(said, received))

    assert [[], None, None, None] == [read[-1]["choices"], *[chunk["usage"] for chunk in read[:-1]]]
    assert (50, 5, 55) == tuple(read[-1]["usage"][f"{kind}_tokens"] for kind in ("prompt", "completion", "total"))
    assert 40 == read[-1]["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert "usage" not in chunks(CHAT.stream(said, PLAIN))[0]


def test_obfuscation():
    """
    Each chunk carries padding, the same at each time, unless the request wants none.
    """
    said = answer("Hi you", pieces=(("Hi", " you"),))
    padded = chunks(CHAT.stream(said, asked()))

    assert all(chunk["obfuscation"] for chunk in padded)
    assert {16} == {len(chunk["obfuscation"]) + len(chunk["choices"][0]["delta"]["content"]) for chunk in padded[:-1]}
    assert len(padded) == len({chunk["obfuscation"] for chunk in padded})
    assert padded == chunks(CHAT.stream(said, asked()))
    assert not [chunk for chunk in chunks(CHAT.stream(said, PLAIN)) if "obfuscation" in chunk]


@pytest.mark.parametrize(("model", "there"), [("gpt-4o", True), ("gpt-5", False)])
def test_logprobs(model: str, there: bool):
    """
    Older models have the key logprobs, which is null; models that reason do not have it.
    """
    said = answer("Hi", pieces=(("Hi",),), model=model)

    assert {there} == {"logprobs" in chunk["choices"][0] for chunk in chunks(CHAT.stream(said, asked(model)))}
    assert there is ("logprobs" in json.loads(CHAT.answer(said, asked(model)))["choices"][0])


def test_answer():
    """
    An answer at once has the message, the reason to stop and the usage.
    """
    said = answer("", SEARCH, pieces=((), ("{}",)), usage=Usage(prompt=50, cached=40, completion=5))

    body = json.loads(CHAT.answer(said, asked()))

    assert ("chatcmpl-abc", "chat.completion", 7, "gpt-4o") == tuple(
        body[key] for key in ("id", "object", "created", "model")
    )
    assert {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": None,
            "tool_calls": [SEARCH.to_dict()],
            "refusal": None,
            "annotations": [],
        },
        "logprobs": None,
        "finish_reason": "tool_calls",
    } == body["choices"][0]
    assert {
        "prompt_tokens": 50,
        "completion_tokens": 5,
        "total_tokens": 55,
        "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 0, "cache_write_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    } == body["usage"]


def test_broken_off():
    """
    An error after the status was sent is one line of data.
    """
    assert (
        b'data: {"error":{"message":"The server had an error while processing your request. Sorry about that!",'
        b'"type":"server_error","param":null,"code":null}}\n\n'
    ) == CHAT.broken_off(CHAT.fault("server_error"))


def test_text_that_utf8_cannot_hold():
    """
    A text with half a character is escaped, in a chunk and in an answer.
    """
    said = answer("a\ud800", pieces=(("a", "\ud800"),))

    assert "\ud800" == deltas(CHAT.stream(said, PLAIN))[2]["content"]
    assert "a\ud800" == json.loads(CHAT.answer(said, PLAIN))["choices"][0]["message"]["content"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Draw an answer of a text and calls, each cut into pieces at will."""
    calls = tuple(
        ToolCall(f"call_{number}", draw(st.sampled_from(["search", "save"])), draw(TEXTS))
        for number in range(draw(st.integers(0, 3)))
    )
    text = draw(TEXTS)
    pieces = tuple(_cut(draw, each) for each in (text, *(call.arguments for call in calls)))
    usage = Usage(prompt=draw(st.integers(0, 99)), completion=3)
    return answer(text, *calls, pieces=pieces, usage=usage)


def _cut(draw: st.DrawFn, text: str) -> tuple[str, ...]:
    at = sorted(draw(st.sets(st.integers(1, len(text) - 1)))) if len(text) > 1 else []
    return tuple(text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)) if text else ()


@given(answers(), st.booleans(), st.booleans())
def test_stream_is_the_answer(said: Answer, usage: bool, obfuscated: bool):
    """
    Put together by the official client, a stream is the answer; each delta is at least one chunk.
    """
    from openai.lib.streaming.chat import ChatCompletionStreamState
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    received = asked(stream_options={"include_usage": usage, "include_obfuscation": obfuscated})
    stream = CHAT.stream(said, received)
    state = ChatCompletionStreamState()
    for chunk in chunks(stream):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    whole = ChatCompletion.model_validate_json(CHAT.answer(said, received))

    joined = state.get_final_completion()

    (streamed,), (at_once,) = joined.choices, whole.choices
    assert at_once.finish_reason == streamed.finish_reason
    assert (at_once.message.content or "") == (streamed.message.content or "")
    assert [call.to_dict() for call in said.message.tool_calls] == [
        {
            "id": call.id,
            "type": call.type,
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call in streamed.message.tool_calls or []
    ]
    assert (whole.id, whole.created, whole.model) == (joined.id, joined.created, joined.model)
    assert joined.usage == (whole.usage if usage else None)
    assert sum(map(len, said.pieces)) == len(stream.deltas)


@given(st.text(min_size=1), st.sampled_from(["gpt-4o", "gpt-5", 'ft:gpt-4o:"%s"']), st.sampled_from(["stop", "length"]))
def test_text_by_template(text: str, model: str, stop: str):
    """
    The body of a text is that of a text with calls, but for the calls: the same keys and values in the same order.
    """
    usage = Usage(prompt=7, cached=5, completion=3)
    plain, calling = (
        CHAT.answer(answer(text, *calls, pieces=(), model=model, stop=stop, usage=usage), asked(model))
        for calls in ((), (SEARCH,))
    )

    expected = json.loads(calling)
    del expected["choices"][0]["message"]["tool_calls"]
    assert json.dumps(expected) == json.dumps(json.loads(plain))


def test_spliced():
    """
    Deltas that are put together when they are looked at are those that are sent at once.
    """
    said = answer("abc", pieces=(("a", "b", "c"),))
    stream = CHAT.stream(said, PLAIN)

    assert list(stream.deltas) == [stream.deltas[0], *stream.deltas[1:]]
    assert b"".join([stream.head, *stream.deltas, stream.tail]) == stream.whole()
