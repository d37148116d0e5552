"""The official Gemini client, unmodified, against the strict model."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

from google import genai
from google.genai import types

from tests.clients import script

MODEL = "gemini-2.5-flash"
CONFIG = types.GenerateContentConfig(
    system_instruction="Be helpful.",
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    tools=[
        types.Tool(
            function_declarations=[
                types.FunctionDeclaration(
                    name=tool.name, description=tool.description, parameters_json_schema=dict(tool.parameters())
                )
                for tool in script.TOOLS
            ]
        )
    ],
)


def _client(served: str) -> genai.Client:
    return genai.Client(api_key="none", http_options=types.HttpOptions(base_url=served))


def _results(parts: Any) -> list[types.Content]:
    answers = [
        types.Part(
            function_response=types.FunctionResponse(
                id=part.function_call.id,
                name=part.function_call.name,
                response={"result": script.run_tool(part.function_call.args)},
            )
        )
        for part in parts
        if part.function_call
    ]
    return [types.Content(role="user", parts=answers)] if answers else []


def _user(turn: Any, session: int) -> types.Content:
    return types.Content(role="user", parts=[types.Part(text=script.said(turn, session))])


def test_conversation(served: str, closing: ExitStack):
    """
    Fifty turns with tools are answered as the script has them, and the server finds nothing wrong.
    """
    client = closing.enter_context(_client(served))
    contents: list[Any] = []

    for turn in script.scenario().turns:
        contents.append(_user(turn, 31))
        for _ in range(len(turn.rounds) + 1):
            reply = client.models.generate_content(model=MODEL, contents=contents, config=CONFIG)
            content: Any = reply.candidates and reply.candidates[0].content
            contents += [content, *_results(content.parts)]
        assert (reply.text or "").endswith(turn.answer)

    assert script.passed(served, 31)


async def _converse(served: str) -> None:
    async with _client(served).aio as client:
        contents: list[Any] = []
        for turn in script.scenario().turns:
            contents.append(_user(turn, 32))
            for _ in range(len(turn.rounds) + 1):
                parts: list[Any] = []
                async for chunk in await client.models.generate_content_stream(
                    model=MODEL, contents=contents, config=CONFIG
                ):
                    candidate: Any = chunk.candidates[0] if chunk.candidates else None
                    parts += (
                        candidate.content.parts if candidate and candidate.content and candidate.content.parts else []
                    )
                contents += [types.Content(role="model", parts=parts), *_results(parts)]
            assert "".join(part.text or "" for part in parts).endswith(turn.answer)


def test_asynchronous_stream(served: str):
    """
    The same, asynchronously and streamed.
    """
    asyncio.run(_converse(served))

    assert script.passed(served, 32)
