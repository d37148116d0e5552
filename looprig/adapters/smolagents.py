"""smolagents: `smolagents.ToolCallingAgent`, with its memory kept from task to task.

The framework shows a model its calls and their results as text under captions. The adapter takes the captions off
and puts calls and results back in their places, so that they can be judged like anybody else's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

from smolagents import ChatMessage, MessageRole, Tool, ToolCallingAgent
from smolagents import Model as Smol
from smolagents.agents import EMPTY_PROMPT_TEMPLATES
from smolagents.models import ChatMessageToolCall, ChatMessageToolCallFunction
from smolagents.monitoring import LogLevel

from looprig.adapters import chat

FRAMEWORK = "smolagents"
PACKAGES = ("smolagents",)
EXTRA = "smolagents"

MAX_STEPS = 1000
"""Far above what a scenario has; the framework's own limit is 20 steps a task."""
FINAL = "final_answer"
"""The tool by which the framework wants to be told that the model is done; looprig's model simply answers."""

CAPTION = re.compile(r"\A(?:New task|Calling tools|Observation):\n|")
RESULT = re.compile(r"\n(?=\[#s)")
"""Where the next result starts: the framework joins the results of a round, and each starts with its place; one that
does not (an unserialisable one of `failing_tools`) is taken for a part of the one before it."""


def make(model: Any, tools: Any, *, max_steps: int = MAX_STEPS, threads: int = 1) -> Loop:
    """Return an agent; it never trims.

    With one thread for tools a run repeats exactly; more (the framework's own default) race, and want real time.
    """
    return Loop(model, tools, max_steps, threads)


class Loop:
    """One conversation with an agent, which keeps the steps of all tasks in its memory."""

    def __init__(self, model: Any, tools: Any, max_steps: int, threads: int) -> None:
        self._agent = ToolCallingAgent(
            [_Tool(tool) for tool in tools.values()],
            _Model(model),
            prompt_templates={**EMPTY_PROMPT_TEMPLATES, "system_prompt": "{{custom_instructions}}"},
            instructions="",
            max_steps=max_steps,
            max_tool_threads=threads,
            verbosity_level=LogLevel.OFF,
        )

    def add_system(self, text: str) -> None:
        before = self._agent.instructions
        self._agent.instructions = before + chat.BETWEEN + text if before else text

    def send(self, text: str) -> str:
        return str(self._agent.run(text, reset=False))


def chats(messages: Iterable[Any]) -> list[chat.Chat]:
    """Return the framework's messages with calls and results where they belong."""
    entries: list[chat.Chat] = []
    for message in messages:
        text = message.content if isinstance(message.content, str) else message.content[0]["text"]
        caption = CAPTION.match(text)
        assert caption is not None  # it matches nothing, too
        entries += _chats(message.role, caption.group(), text[caption.end() :], entries)
    return entries


def _chats(role: MessageRole, caption: str, text: str, before: list[chat.Chat]) -> list[chat.Chat]:
    last = before[-1] if before else {}
    if role == MessageRole.TOOL_RESPONSE and caption:
        asked = last.get("tool_calls", ())  # none: these are the words of the final answer once more
        return [chat.result(call["id"], part) for call, part in zip(asked, RESULT.split(text), strict=False)]
    if role == MessageRole.TOOL_RESPONSE:
        return [chat.said("user", text)]  # an error; the framework forgets the calls that it is about
    if role != MessageRole.TOOL_CALL:
        return chat.systems(text) if role == MessageRole.SYSTEM else [chat.said(role.value, text)]
    said = before.pop()["content"] if last.get("role") == "assistant" and "tool_calls" not in last else ""
    asks = [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in ast.literal_eval(text)]
    if asks[0][1] == FINAL:
        return [chat.said("assistant", asks[0][2]["answer"])]
    return [chat.asked(said, [chat.Call(id_, name, chat.written(arguments)) for id_, name, arguments in asks])]


class _Model(Smol):  # type: ignore[misc]  # the framework has no types
    """Looprig's model as a smolagents model."""

    def __init__(self, model: Any) -> None:
        super().__init__(model_id="looprig")
        self._asked = model

    def generate(self, messages: list[Any], *_: Any, **__: Any) -> ChatMessage:
        reply = self._asked.complete(chats(messages))
        calls = [_call(*call) for call in chat.calls_of(reply)]
        if not calls:
            return ChatMessage(MessageRole.ASSISTANT, None, [_call(FINAL, FINAL, {"answer": reply["content"]})])
        return ChatMessage(MessageRole.ASSISTANT, reply["content"], calls)


def _call(id_: str, name: str, arguments: object) -> ChatMessageToolCall:
    return ChatMessageToolCall(ChatMessageToolCallFunction(arguments, name), id_, "function")


class _Tool(Tool):  # type: ignore[misc]  # as above
    skip_forward_signature_validation = True  # its inputs are looprig's

    def __init__(self, tool: Any) -> None:
        self.name, self.description, self.output_type = tool.name, tool.description, "string"
        self.inputs = {name: {"type": "string", "description": name} for name in tool.parameters["properties"]}
        self.forward = lambda **arguments: chat.shown(tool.run(arguments))
        super().__init__()
