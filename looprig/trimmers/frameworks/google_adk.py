"""Google's Agent Development Kit: the plugin that keeps the last invocations."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from google.adk.plugins.context_filter_plugin import ContextFilterPlugin
from google.genai import types

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import NotRepresentable, Subject, Trimmer, contract_in
from looprig.trimmers.frameworks._shape import Calls, FrameworkCodec, inputs, name_of, spelled

PACKAGES = ("google-adk",)


def to_native(message: Message, _calls: Calls) -> types.Content:
    """Return a message as Gemini's content; the instruction stands elsewhere."""
    if message.role == "system":
        raise NotRepresentable("ADK keeps the instruction apart from the contents")
    text = [types.Part(text=message.content)] if message.content or not message.tool_calls else []
    calls = [
        types.Part(function_call=types.FunctionCall(id=call.id, name=call.name, args=inputs(call)))
        for call in message.tool_calls
    ]
    return types.Content(role="user" if message.role == "user" else "model", parts=[*text, *calls])


def results(messages: Sequence[Message], calls: Calls) -> types.Content:
    """Return the results of a batch as the one content that they are."""
    answers = [
        types.FunctionResponse(id=one.tool_call_id, name=name_of(one, calls), response={"result": one.content})
        for one in messages
    ]
    return types.Content(role="user", parts=[types.Part(function_response=answer) for answer in answers])


def to_messages(native: types.Content) -> Sequence[Message]:
    """Return a content as our messages."""
    parts = native.parts or []
    answers = [part.function_response for part in parts if part.function_response]
    if answers:
        return tuple(Message("tool", (one.response or {})["result"], tool_call_id=one.id) for one in answers)
    used = [part.function_call for part in parts if part.function_call]
    calls = tuple(ToolCall(one.id or "", one.name or "", spelled(one.args or {})) for one in used)
    text = "".join(part.text or "" for part in parts)
    return (Message("assistant" if native.role == "model" else "user", text, calls),)


CODEC = FrameworkCodec(to_native, to_messages, results)


def filtered(limit: int) -> Trimmer:
    """Let the plugin filter the contents of a request."""
    plugin = ContextFilterPlugin(num_invocations_to_keep=limit)

    async def trim(history: list[types.Content]) -> list[types.Content]:
        request: Any = SimpleNamespace(contents=list(history))
        context: Any = None
        await plugin.before_model_callback(callback_context=context, llm_request=request)
        return list(request.contents)

    return trim


SUBJECTS = (
    Subject(
        name="ContextFilterPlugin",
        make=filtered,
        contract=contract_in("turns", system_apart=True),
        codec=CODEC,
        packages=PACKAGES,
    ),
)
