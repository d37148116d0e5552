"""Each fault, as the official clients tell it: their own typed errors, or what they tell in place of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors, types

from looprig import content
from looprig.scenario import Scenario
from looprig.server.app import App
from looprig.server.faults import KINDS, parse_fault
from looprig.server.running import Running, serving
from looprig.server.settings import Settings

SAID = "[#s0t1] What is there to know?"
CLAUDE = "claude-sonnet-5"
GEMINI = "gemini-2.5-flash"

Told = type[Exception] | str
"""The error that a client raises, or how an answer ends for which it raises none."""


def _scenario() -> Scenario:
    return content.find_scenario("long_conversation").make(1, {"messages": "20", "tool_every": "2"})


def _server(*faults: str, **settings: Any) -> Any:
    return serving(App(Settings(scenario=_scenario(), faults=tuple(map(parse_fault, faults)), **settings)))


def _openai(running: Running, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=retries, timeout=1)


def _anthropic(running: Running, retries: int = 0) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=running.url, api_key="none", max_retries=retries, timeout=1)


def _gemini(running: Running) -> genai.Client:
    return genai.Client(api_key="none", http_options=types.HttpOptions(base_url=running.url, timeout=1000))


def chat(running: Running) -> str:
    said: Any = [{"role": "user", "content": SAID}]
    with _openai(running) as client:
        return client.chat.completions.create(model="gpt-4o", messages=said).choices[0].finish_reason


def chat_stream(running: Running) -> str:
    said: Any = [{"role": "user", "content": SAID}]
    with (
        _openai(running) as client,
        client.chat.completions.create(model="gpt-4o", messages=said, stream=True) as stream,
    ):
        return str([chunk.choices[0].finish_reason for chunk in stream][-1])


def responses(running: Running) -> str:
    with _openai(running) as client:
        return str(client.responses.create(model="gpt-5", input=SAID).status)


def responses_stream(running: Running) -> str:
    with _openai(running) as client, client.responses.create(model="gpt-5", input=SAID, stream=True) as stream:
        return [event.type for event in stream][-1]


def messages(running: Running) -> str:
    said: Any = [{"role": "user", "content": SAID}]
    with _anthropic(running) as client:
        return str(client.messages.create(model=CLAUDE, max_tokens=999, messages=said).stop_reason)


def messages_stream(running: Running) -> str:
    said: Any = [{"role": "user", "content": SAID}]
    with (
        _anthropic(running) as client,
        client.messages.stream(model=CLAUDE, max_tokens=999, messages=said) as stream,
    ):
        return str(stream.get_final_message().stop_reason)


def generate(running: Running) -> str:
    with _gemini(running) as client:
        return _finish(client.models.generate_content(model=GEMINI, contents=SAID))


def generate_stream(running: Running) -> str:
    with _gemini(running) as client:
        return [_finish(each) for each in client.models.generate_content_stream(model=GEMINI, contents=SAID)][-1]


def _finish(reply: types.GenerateContentResponse) -> str:
    reason = reply.candidates[0].finish_reason if reply.candidates else None
    return "None" if reason is None else reason.value


CLIENTS: tuple[Callable[[Running], str], ...] = (
    chat,
    chat_stream,
    responses,
    responses_stream,
    messages,
    messages_stream,
    generate,
    generate_stream,
)

NO_JSON = json.JSONDecodeError
WELL = ("stop", "stop", "completed", "response.completed", "end_turn", "end_turn", "STOP", "STOP")

EXPECTED: dict[str, tuple[Told, ...]] = {
    "bad_request": (*[openai.BadRequestError] * 4, *[anthropic.BadRequestError] * 2, *[errors.ClientError] * 2),
    "bad_key": (*[openai.AuthenticationError] * 4, *[anthropic.AuthenticationError] * 2, *[errors.ClientError] * 2),
    "not_found": (*[openai.NotFoundError] * 4, *[anthropic.NotFoundError] * 2, *[errors.ClientError] * 2),
    "rate_limit": (*[openai.RateLimitError] * 4, *[anthropic.RateLimitError] * 2, *[errors.ClientError] * 2),
    "quota": (*[openai.RateLimitError] * 4, *[anthropic.RateLimitError] * 2, *[errors.ClientError] * 2),
    "server_error": (
        *[openai.InternalServerError] * 4,
        *[anthropic.InternalServerError] * 2,
        *[errors.ServerError] * 2,
    ),
    "overloaded": (*[openai.InternalServerError] * 4, *[anthropic.OverloadedError] * 2, *[errors.ServerError] * 2),
    "timeout": (*[openai.InternalServerError] * 4, *[anthropic.APIStatusError] * 2, *[errors.ServerError] * 2),
    "error_event": (
        *(openai.InternalServerError, openai.APIError) * 2,
        *(anthropic.InternalServerError, anthropic.APIStatusError),
        *[errors.ServerError] * 2,
    ),
    # A stream that ends too early is no error to most of these clients: the loop has to look at the reason.
    "cut": (NO_JSON, "None", NO_JSON, "response.output_text.delta", NO_JSON, "None", NO_JSON, "None"),
    "truncate": (
        *(NO_JSON, "None", NO_JSON, "response.output_text.delta", NO_JSON, "None"),
        *(NO_JSON, errors.UnknownApiResponseError),
    ),
    "drop": (
        *[openai.APIConnectionError] * 4,
        *(anthropic.APIConnectionError, httpx2.RemoteProtocolError),
        *[httpx2.RemoteProtocolError] * 2,
    ),
    "stall": (
        *[openai.APITimeoutError] * 4,
        *(anthropic.APITimeoutError, httpx2.ReadTimeout),
        *[httpx2.ReadTimeout] * 2,
    ),
    "corrupt": (*[NO_JSON] * 7, errors.UnknownApiResponseError),
    # These meet replies with tool calls alone.
    "duplicate_id": WELL,
    "broken_arguments": WELL,
    "late_id": WELL,
}


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    with _server(request.param) as server:
        yield server


@pytest.mark.parametrize("running", KINDS, indirect=True)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_fault(running: Running, client: Callable[[Running], str]):
    """
    Each fault reaches each client as it does from the real provider.
    """
    kind = running.app.settings.faults[0].kind
    expected = EXPECTED[kind][CLIENTS.index(client)]

    if isinstance(expected, str):
        assert expected == client(running)
    else:
        with pytest.raises(expected):
            client(running)


def test_broken_history():
    """
    A result without its call is refused by all four, and the clients raise what they raise for that.
    """
    result = {"role": "tool", "tool_call_id": "call_1", "content": "found"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "found"}
    block = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "found"}
    response = types.Part(function_response=types.FunctionResponse(name="search", response={"result": "found"}))
    odd: Any = [result]
    items: Any = [output]
    turns: Any = [{"role": "user", "content": [block]}]

    with _server() as running:
        with pytest.raises(openai.BadRequestError) as by_chat, _openai(running) as chats:
            chats.chat.completions.create(model="gpt-4o", messages=odd)
        with pytest.raises(openai.BadRequestError) as by_responses, _openai(running) as responding:
            responding.responses.create(model="gpt-5", input=items)
        with pytest.raises(anthropic.BadRequestError) as by_messages, _anthropic(running) as claude:
            claude.messages.create(model=CLAUDE, max_tokens=9, messages=turns)
        with pytest.raises(errors.ClientError) as by_gemini, _gemini(running) as client:
            client.models.generate_content(model=GEMINI, contents=[types.Content(role="user", parts=[response])])
        seen = running.ask(running.app.seen)

    assert "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'" in str(
        by_chat.value
    )
    assert "messages.[0].role" == by_chat.value.param
    assert "No tool call found for function call output with call_id call_1." in str(by_responses.value)
    assert "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_1" in str(
        by_messages.value
    )
    assert "function response turn comes immediately after a function call turn" in str(by_gemini.value)
    assert {"C1": 1, "R2": 1, "A2": 1, "G2": 1} == seen["refused"]
    assert not seen["passed"]


def test_retries():
    """
    The clients try again when they are told to wait, and the answer then is the one that the script has.
    """
    said: Any = [{"role": "user", "content": SAID}]

    with _server("rate_limit:times=2,retry=0.01") as running, _openai(running, 2) as client:
        reply = client.chat.completions.create(model="gpt-4o", messages=said)
        assert "stop" == reply.choices[0].finish_reason
        assert 3 == running.ask(running.app.seen)["requests"]

    with _server("overloaded:times=2,retry=0.01") as running, _anthropic(running, 2) as claude:
        message = claude.messages.create(model=CLAUDE, max_tokens=999, messages=said)
        assert "end_turn" == message.stop_reason


def test_no_retry():
    """
    A client that is told not to try again does not.
    """
    said: Any = [{"role": "user", "content": SAID}]

    with _server("server_error:should_retry=false") as running:
        with pytest.raises(openai.InternalServerError), _openai(running, 2) as client:
            client.chat.completions.create(model="gpt-4o", messages=said)
        assert 1 == running.ask(running.app.seen)["requests"]


def test_context_overflow():
    """
    A prompt over the window is refused with the provider's words for it.
    """
    said: Any = [{"role": "user", "content": SAID + " word" * 1000}]

    with _server(window=500) as running:
        with pytest.raises(openai.BadRequestError) as by_openai, _openai(running) as client:
            client.chat.completions.create(model="gpt-4o", messages=said)
        with pytest.raises(anthropic.BadRequestError) as by_anthropic, _anthropic(running) as claude:
            claude.messages.create(model=CLAUDE, max_tokens=99, messages=said)

    assert "context_length_exceeded" == by_openai.value.code
    assert "maximum context length is 500 tokens" in str(by_openai.value)
    assert "prompt is too long" in str(by_anthropic.value)
