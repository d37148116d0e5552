"""The official OpenAI client, unmodified, against the strict model: Chat Completions."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from typing import Any

import openai

from tests.clients import script

TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters()},
    }
    for tool in script.TOOLS
]


def _results(calls: Any) -> list[Any]:
    return [
        {"role": "tool", "tool_call_id": call.id, "content": script.run_tool(json.loads(call.function.arguments))}
        for call in calls
    ]


def test_conversation(served: str, closing: ExitStack):
    """
    Fifty turns with tools are answered as the script has them, and the server finds nothing wrong.
    """
    client = closing.enter_context(openai.OpenAI(base_url=f"{served}/v1", api_key="none"))
    messages: list[Any] = [{"role": "system", "content": "Be helpful."}]

    for turn in script.scenario().turns:
        messages.append({"role": "user", "content": script.said(turn, 1)})
        for _ in turn.rounds:
            reply = client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS).choices[0]
            assert "tool_calls" == reply.finish_reason
            messages += [reply.message, *_results(reply.message.tool_calls)]
        answer = client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS).choices[0]
        assert answer.finish_reason == "stop"
        assert (answer.message.content or "").endswith(turn.answer)
        messages.append(answer.message)

    assert 50 == len(script.scenario().turns)
    assert script.passed(served, 1)


async def _asked(client: openai.AsyncOpenAI, messages: list[Any]) -> Any:
    """Stream a reply, and return it put together by the client's own helper."""
    async with client.chat.completions.stream(model="gpt-4o", messages=messages, tools=TOOLS) as stream:
        async for _ in stream:
            pass
        return (await stream.get_final_completion()).choices[0].message


async def _converse(served: str) -> None:
    messages: list[Any] = [{"role": "system", "content": "Be helpful."}]
    async with openai.AsyncOpenAI(base_url=f"{served}/v1", api_key="none") as client:
        for turn in script.scenario().turns:
            messages.append({"role": "user", "content": script.said(turn, 2)})
            for _ in turn.rounds:
                reply = await _asked(client, messages)
                messages += [reply, *_results(reply.tool_calls)]
            answer = await _asked(client, messages)
            assert (answer.content or "").endswith(turn.answer)
            messages.append(answer)


def test_asynchronous_stream(served: str):
    """
    The same, asynchronously and streamed; the client's own helper puts the pieces together.
    """
    asyncio.run(_converse(served))

    assert script.passed(served, 2)


def test_pieces(served: str, closing: ExitStack):
    """
    The pieces of a stream, read one by one, are those of the answer; the last but one tells the usage.
    """
    client = closing.enter_context(openai.OpenAI(base_url=f"{served}/v1", api_key="none"))
    turn = script.scenario().turns[0]

    chunks = list(
        client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": script.said(turn, 3)}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.endswith(turn.answer)
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0
