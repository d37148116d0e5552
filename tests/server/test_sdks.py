"""The official clients, unmodified: whole conversations with tools, and their own errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from looprig.server.app import App
from looprig.server.faults import parse_fault
from looprig.server.running import KEY, Running, serving
from tests.server.clients import TOOLS, broken, served, talk

SCENARIO = talk(4, {1: 2, 2: 1}, width=2)
FUNCTIONS: list[Any] = [tool["function"] for tool in TOOLS]


@pytest.fixture
def running() -> Iterator[Running]:
    with serving(served(SCENARIO)) as running:
        yield running


def texts(app: App, session: int) -> list[str]:
    return [turn["say"] for turn in app.play.typed(session)]


def ends_well(app: App, answer: str, session: int) -> None:
    assert f"[#s{session}t3] answer 3" == answer
    assert {} == broken(app)
    assert 7 == app.seen()["requests"]


@pytest.mark.parametrize("stream", [False, True])
def test_chat_completions(running: Running, stream: bool):
    """
    Chat Completions, at once and streamed.
    """
    history: list[Any] = []
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY) as client:
        for text in texts(running.app, 2):
            history.append({"role": "user", "content": text})
            while True:
                asked: Any = {"model": "gpt-4o", "messages": history, "tools": TOOLS}
                if stream:
                    with client.chat.completions.stream(**asked) as events:
                        message: Any = events.get_final_completion().choices[0].message
                else:
                    message = client.chat.completions.create(**asked).choices[0].message
                told = message.model_dump(include={"role", "content", "tool_calls"}, exclude_none=True)
                for call in told.get("tool_calls", ()):
                    call.pop("index", None)
                    call["function"].pop("parsed_arguments", None)
                history.append(told)
                if not message.tool_calls:
                    break
                history += [{"role": "tool", "tool_call_id": call.id, "content": "done"} for call in message.tool_calls]

    ends_well(running.app, history[-1]["content"], 2)


@pytest.mark.parametrize("chained", [False, True])
def test_responses(running: Running, chained: bool):
    """
    Responses, with the whole input each time and with the id of the response before.
    """
    tools: Any = [{"type": "function", **function} for function in FUNCTIONS]
    history: list[Any] = []
    before: str | None = None
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY) as client:
        for text in texts(running.app, 2):
            new: list[Any] = [{"role": "user", "content": text}]
            while new:
                history += new
                given: Any = {"input": new if chained else history, "tools": tools, "model": "gpt-4o"}
                if chained and before is not None:
                    given["previous_response_id"] = before
                response = client.responses.create(**given)
                before = response.id
                history += [item.model_dump(exclude_none=True) for item in response.output]
                new = [
                    {"type": "function_call_output", "call_id": item.call_id, "output": "done"}
                    for item in response.output
                    if item.type == "function_call"
                ]

    ends_well(running.app, response.output_text, 2)


@pytest.mark.parametrize("stream", [False, True])
def test_messages(running: Running, stream: bool):
    """
    Anthropic's Messages, at once and streamed.
    """
    tools = [{"name": each["name"], "input_schema": each["parameters"]} for each in FUNCTIONS]
    history: list[Any] = []
    with anthropic.Anthropic(base_url=running.url, api_key=KEY) as client:
        for text in texts(running.app, 2):
            history.append({"role": "user", "content": text})
            while True:
                asked: Any = {"model": "claude-sonnet-5", "max_tokens": 999, "messages": history, "tools": tools}
                if stream:
                    with client.messages.stream(**asked) as events:
                        message: Any = events.get_final_message()
                else:
                    message = client.messages.create(**asked)
                told = [block.model_dump(include={"type", "text", "id", "name", "input"}) for block in message.content]
                history.append({"role": "assistant", "content": told})
                uses = [block.id for block in message.content if block.type == "tool_use"]
                if not uses:
                    break
                done = [{"type": "tool_result", "tool_use_id": use, "content": "done"} for use in uses]
                history.append({"role": "user", "content": done})

    ends_well(running.app, message.content[0].text, 2)


@pytest.mark.parametrize("stream", [False, True])
def test_gemini(running: Running, stream: bool):
    """
    Gemini's generateContent, at once and streamed.
    """
    declared = [
        types.FunctionDeclaration(name=each["name"], parameters_json_schema=each["parameters"]) for each in FUNCTIONS
    ]
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=declared)],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    history: list[Any] = []
    with genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=running.url)) as client:
        for text in texts(running.app, 2):
            history.append(types.Content(role="user", parts=[types.Part(text=text)]))
            while True:
                asked: Any = {"model": "gemini-2.5-flash", "contents": history, "config": config}
                if stream:
                    content = joined(client.models.generate_content_stream(**asked))
                else:
                    content = client.models.generate_content(**asked).candidates[0].content  # type: ignore[index]
                history.append(content)
                calls = [part.function_call for part in content.parts if part.function_call]
                if not calls:
                    break
                history.append(types.Content(role="user", parts=[answered(call) for call in calls]))

    ends_well(running.app, history[-1].parts[0].text, 2)


def joined(chunks: Any) -> Any:
    """Return the content of a stream: its text in one part, then its calls."""
    parts = [part for chunk in chunks for part in (chunk.candidates[0].content.parts or ())]
    text = "".join(part.text or "" for part in parts)
    return types.Content(
        role="model",
        parts=[*([types.Part(text=text)] if text else ()), *(part for part in parts if part.function_call)],
    )


def answered(call: Any) -> Any:
    told = types.FunctionResponse(id=call.id, name=call.name, response={"result": "done"})
    return types.Part(function_response=told)


HI: Any = [{"role": "user", "content": "[#s0t0] hi"}]


@pytest.mark.parametrize(
    ("fault", "openais", "anthropics", "googles"),
    [
        ("rate_limit:retry=0.01", openai.RateLimitError, anthropic.RateLimitError, 429),
        ("server_error", openai.InternalServerError, anthropic.InternalServerError, 500),
        ("overloaded", openai.InternalServerError, anthropic.InternalServerError, 503),
        ("bad_key", openai.AuthenticationError, anthropic.AuthenticationError, None),
    ],
)
def test_errors_of_the_clients(fault: str, openais: Any, anthropics: Any, googles: int | None):
    """
    Each client raises its own error for a fault; with a retry it gets the answer.
    """
    with serving(served(talk(9, {}), faults=(parse_fault(fault),))) as running:
        with openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY, max_retries=0) as client, pytest.raises(openais):
            client.chat.completions.create(model="gpt-4o", messages=HI)
        with anthropic.Anthropic(base_url=running.url, api_key=KEY, max_retries=0) as other, pytest.raises(anthropics):
            other.messages.create(model="claude-sonnet-5", max_tokens=99, messages=HI)
        options = types.HttpOptions(base_url=running.url)
        with genai.Client(api_key=KEY, http_options=options) as third, pytest.raises(errors.APIError) as caught:
            third.models.generate_content(model="gemini-2.5-flash", contents="[#s0t0] hi")
        assert googles in (caught.value.code, None)


def test_client_that_retries():
    """
    Told to wait for a few milliseconds, a client asks again by itself.
    """
    with (
        serving(served(talk(9, {}), faults=(parse_fault("rate_limit:retry=0.01,times=2"),))) as running,
        openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY) as client,
    ):
        answer = client.chat.completions.create(model="gpt-4o", messages=HI).choices[0].message.content
        seen = running.ask(running.app.seen)

    assert "[#s0t0] answer 0" == answer
    assert (3, {"rate_limit": 2}, True) == (seen["requests"], seen["faults"], seen["passed"])


def test_refused_history():
    """
    A client gets the refusal of its provider to the letter, as its own error.
    """
    orphan: Any = [{"role": "tool", "tool_call_id": "x", "content": "?"}]
    with (
        serving(served()) as running,
        openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY) as client,
        pytest.raises(openai.BadRequestError) as caught,
    ):
        client.chat.completions.create(model="gpt-4o", messages=orphan)

    assert ("invalid_request_error", "messages.[0].role", None) == (
        caught.value.type,
        caught.value.param,
        caught.value.code,
    )
