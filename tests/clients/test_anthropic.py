"""The official Anthropic client, unmodified, against the strict model."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

import anthropic

from tests.clients import script

MODEL = "claude-sonnet-5"
TOOLS: Any = [
    {"name": tool.name, "description": tool.description, "input_schema": tool.parameters()} for tool in script.TOOLS
]


def _results(message: Any) -> list[Any]:
    content = [
        {"type": "tool_result", "tool_use_id": block.id, "content": script.run_tool(block.input)}
        for block in message.content
        if block.type == "tool_use"
    ]
    return [{"role": "user", "content": content}] if content else []


def test_conversation(served: str, closing: ExitStack):
    """
    Fifty turns with tools are answered as the script has them, and the server finds nothing wrong.
    """
    client = closing.enter_context(anthropic.Anthropic(base_url=served, api_key="none"))
    messages: list[Any] = []

    for turn in script.scenario().turns:
        messages.append({"role": "user", "content": script.said(turn, 21)})
        for number in range(len(turn.rounds) + 1):
            reply = client.messages.create(
                model=MODEL, max_tokens=1000, system="Be helpful.", messages=messages, tools=TOOLS
            )
            assert ("tool_use" if number < len(turn.rounds) else "end_turn") == reply.stop_reason
            messages += [{"role": "assistant", "content": reply.content}, *_results(reply)]
        block: Any = reply.content[-1]
        assert block.text.endswith(turn.answer)

    assert script.passed(served, 21)


async def _converse(served: str) -> None:
    messages: list[Any] = []
    async with anthropic.AsyncAnthropic(base_url=served, api_key="none") as client:
        for turn in script.scenario().turns:
            messages.append({"role": "user", "content": script.said(turn, 22)})
            for _ in range(len(turn.rounds) + 1):
                async with client.messages.stream(
                    model=MODEL, max_tokens=1000, messages=messages, tools=TOOLS
                ) as stream:
                    reply = await stream.get_final_message()
                messages += [{"role": "assistant", "content": reply.content}, *_results(reply)]
            block: Any = reply.content[-1]
            assert block.text.endswith(turn.answer)


def test_asynchronous_stream(served: str):
    """
    The same, asynchronously and streamed; the client's own helper puts the events together.
    """
    asyncio.run(_converse(served))

    assert script.passed(served, 22)


def test_synchronous_stream(served: str, closing: ExitStack):
    """
    The texts of a stream are those of the answer, and its last events tell the usage.
    """
    client = closing.enter_context(anthropic.Anthropic(base_url=served, api_key="none"))
    turn = script.scenario().turns[0]

    with client.messages.stream(
        model=MODEL, max_tokens=1000, messages=[{"role": "user", "content": script.said(turn, 23)}]
    ) as stream:
        text = "".join(stream.text_stream)
        usage = stream.get_final_message().usage

    assert text.endswith(turn.answer)
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
