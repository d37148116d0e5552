"""Gemini's answers: as a body and as events, read by the official client's own types."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message
from looprig.observe import same_message
from looprig.providers.base import Answer, Received, Seen
from looprig.providers.gemini import Gemini
from tests.providers.spoken import answers, whole

PROVIDER = Gemini()
FLASH, THREE = "gemini-2.5-flash", "gemini-3-pro-preview"
STOPS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}


def received(model: str = FLASH) -> Received:
    return PROVIDER.receive(msgspec.json.encode({"contents": [{"parts": [{"text": "a"}]}]}), Seen(), model)


def events(raw: bytes) -> list[dict[str, Any]]:
    """Read events, which have no names here."""
    blocks = raw.decode().split("\r\n\r\n")
    assert "" == blocks.pop()
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def said_in(chunks: list[dict[str, Any]]) -> tuple[str, list[Any], str | None]:
    """Return text, calls and reason of responses, as the official client reads them."""
    text, calls, reason = "", [], None
    for chunk in chunks:
        read = types.GenerateContentResponse.model_validate(chunk)
        assert read.candidates is not None
        (candidate,) = read.candidates
        assert candidate.content is not None
        for part in candidate.content.parts or ():
            text += part.text or ""
            if part.function_call:
                calls.append((part.function_call.id, part.function_call.name, part.function_call.args))
        if candidate.finish_reason:
            assert reason is None
            reason = candidate.finish_reason.value
    return text, calls, reason


@given(answers(FLASH), st.sampled_from([FLASH, THREE]))
def test_stream_is_the_answer(said: Answer, model: str):
    """
    Body and events say the same: what the model said, why it stopped, and what that cost.
    """
    asked = received(model)
    body = msgspec.json.decode(PROVIDER.answer(said, asked))
    streamed = events(whole(PROVIDER.stream(said, asked)))

    calls = [(call.id, call.name, json.loads(call.arguments)) for call in said.message.tool_calls]
    assert (said.message.content, calls, STOPS[said.stop]) == said_in([body])
    assert said_in([body]) == said_in(streamed)
    usage = body["usageMetadata"]
    assert (said.usage.prompt, said.usage.completion) == (usage["promptTokenCount"], usage["candidatesTokenCount"])
    assert said.usage.cached == usage.get("cachedContentTokenCount", 0)
    assert usage == streamed[-1]["usageMetadata"]
    assert {said.id} == {chunk["responseId"] for chunk in [body, *streamed]}


@given(answers(FLASH))
def test_signatures(said: Answer):
    """
    Of a Gemini 3 model's calls the first has a signature, and the answer that comes back with it is taken.
    """
    for model, signed in ((FLASH, 0), (THREE, min(1, len(said.message.tool_calls)))):
        (candidate,) = msgspec.json.decode(PROVIDER.answer(said, received(model)))["candidates"]
        parts = candidate["content"]["parts"]
        assert signed == sum("thoughtSignature" in part for part in parts)
        if not said.message.tool_calls:
            continue
        results = [
            {"functionResponse": {"name": call.name, "id": call.id, "response": {"result": "x"}}}
            for call in said.message.tool_calls
        ]
        contents = [{"parts": [{"text": "a"}]}, candidate["content"], {"role": "user", "parts": results}]
        messages = PROVIDER.receive(msgspec.json.encode({"contents": contents}), Seen(), model).messages
        assert same_message(said.message, messages[1])  # an object's JSON may be spelled in more than one way


def test_pieces():
    """
    A delta for each piece of the text; a call comes whole, and with the last delta why it is the last.
    """
    said = Answer(id="1", created=1, model=FLASH, message=Message("assistant", "abc"), pieces=(("a", "b", "c"),))
    stream = PROVIDER.stream(said, received())

    assert (3, b"", b"") == (len(stream.deltas), stream.head, stream.tail)
    assert [False, False, True] == [b"finishReason" in delta for delta in stream.deltas]


def test_a_reply_of_nothing():
    """
    An answer without text or calls still says why it is over.
    """
    said = Answer(id="1", created=1, model=FLASH, message=Message("assistant"), pieces=((),))

    assert ("", [], "STOP") == said_in(events(whole(PROVIDER.stream(said, received()))))
    assert ("", [], "STOP") == said_in([msgspec.json.decode(PROVIDER.answer(said, received()))])


@pytest.mark.parametrize("kind", ["overloaded", "server_error"])
def test_broken_off(kind: str):
    """
    An error behind the status 200 is an event with the envelope of errors.
    """
    problem = PROVIDER.fault(kind)

    assert [msgspec.json.decode(PROVIDER.problem(problem, "1"))] == events(PROVIDER.broken_off(problem))
