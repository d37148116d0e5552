"""The official OpenAI client, unmodified, against the strict model: Responses."""

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
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters(),
        "strict": False,
    }
    for tool in script.TOOLS
]


def _results(output: Any) -> list[Any]:
    return [
        {
            "type": "function_call_output",
            "call_id": item.call_id,
            "output": script.run_tool(json.loads(item.arguments)),
        }
        for item in output
        if item.type == "function_call"
    ]


def test_whole_input(served: str, closing: ExitStack):
    """
    Fifty turns with tools, the whole conversation sent each time, are answered as the script has them.
    """
    client = closing.enter_context(openai.OpenAI(base_url=f"{served}/v1", api_key="none"))
    items: list[Any] = []

    def ask() -> Any:
        return client.responses.create(model="gpt-5", instructions="Be helpful.", input=items, tools=TOOLS, store=False)

    for turn in script.scenario().turns:
        items.append({"role": "user", "content": script.said(turn, 11)})
        for _ in turn.rounds:
            reply = ask()
            assert "completed" == reply.status
            items += [*reply.output, *_results(reply.output)]
        answer = ask()
        assert answer.output_text.endswith(turn.answer)
        items += answer.output

    assert script.passed(served, 11)


def test_previous_response(served: str, closing: ExitStack):
    """
    Fifty turns where only what is new is sent: the server knows the rest by the id of the response before.
    """
    client = closing.enter_context(openai.OpenAI(base_url=f"{served}/v1", api_key="none"))
    previous: str | None = None

    for turn in script.scenario().turns:
        new: Any = [{"role": "user", "content": script.said(turn, 12)}]
        for _ in range(len(turn.rounds) + 1):
            reply = client.responses.create(
                model="gpt-5", input=new, tools=TOOLS, previous_response_id=previous or openai.omit
            )
            previous, new = reply.id, _results(reply.output)
        assert reply.output_text.endswith(turn.answer)

    assert script.passed(served, 12)


async def _converse(served: str) -> None:
    items: list[Any] = []
    async with openai.AsyncOpenAI(base_url=f"{served}/v1", api_key="none") as client:
        for turn in script.scenario().turns:
            items.append({"role": "user", "content": script.said(turn, 13)})
            for _ in range(len(turn.rounds) + 1):
                async with client.responses.stream(model="gpt-5", input=items, tools=TOOLS) as stream:
                    async for _ in stream:
                        pass
                    reply = await stream.get_final_response()
                items += [*reply.output, *_results(reply.output)]
            assert reply.output_text.endswith(turn.answer)


def test_asynchronous_stream(served: str):
    """
    The same, asynchronously and streamed; the client's own helper puts the events together.
    """
    asyncio.run(_converse(served))

    assert script.passed(served, 13)


def test_events(served: str, closing: ExitStack):
    """
    Events are numbered without a gap, and begin and end as they should.
    """
    client = closing.enter_context(openai.OpenAI(base_url=f"{served}/v1", api_key="none"))
    turn = script.scenario().turns[0]

    events = list(client.responses.create(model="gpt-5", input=script.said(turn, 14), stream=True))

    assert list(range(len(events))) == [event.sequence_number for event in events]
    assert ["response.created", "response.in_progress"] == [event.type for event in events[:2]]
    assert "response.completed" == events[-1].type
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text.endswith(turn.answer)
