"""The mock tools and the mock model, by themselves."""

from __future__ import annotations

import asyncio

import pytest

from looprig.messages import Message
from reference_loop import MockModel, mock_tools


def test_notes():
    """
    Notes are written, read and deleted, and belong to one set of tools.
    """

    async def use(name: str, **arguments: str) -> object:
        return await tools[name].arun(arguments)

    tools = mock_tools()
    asyncio.run(use("write_note", title="milk", text="buy"))
    assert {"milk": "buy"} == asyncio.run(use("read_notes"))
    assert {} == asyncio.run(mock_tools()["read_notes"].arun({}))
    asyncio.run(use("delete_note", title="milk"))
    assert {} == asyncio.run(use("read_notes"))


@pytest.mark.parametrize(
    ("text", "tool", "arguments"),
    [
        ("calculate 6*7", "multiply", '{"left": "6", "right": "7"}'),
        ("What time is it?", "clock", "{}"),
        ("note milk: buy two", "write_note", '{"title": "milk", "text": "buy two"}'),
        ("my notes", "read_notes", "{}"),
        ("delete milk", "delete_note", '{"title": "milk"}'),
    ],
)
def test_mock_model(text: str, tool: str, arguments: str):
    """
    The model asks for the tool that the text is about, with what the text says for arguments.
    """
    reply = asyncio.run(MockModel().acomplete([Message(role="user", content=text)]))

    assert [(tool, arguments)] == [(call.name, call.arguments) for call in reply.tool_calls]


def test_mock_model_streams():
    """
    The pieces of a stream are the whole message.
    """

    async def pieces() -> list[tuple[str, Message | None]]:
        asked = [Message(role="user", content="hello  there")]
        return [(chunk.text, chunk.message) async for chunk in MockModel().astream(asked)]

    *texts, (nothing, message) = asyncio.run(pieces())
    assert ("", "You said: hello  there") == (nothing, message.content if message else None)
    assert "You said: hello  there" == "".join(text for text, _ in texts)
