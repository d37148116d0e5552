"""LangChain: ``trim_messages`` of langchain-core, and the middleware of its agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain.agents.middleware import ClearToolUsesEdit, SummarizationMiddleware
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage, trim_messages

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import Subject, Trimmer, contract_in
from looprig.trimmers.frameworks._shape import Calls, FrameworkCodec, inputs, spelled

PACKAGES = ("langchain-core", "langchain")

CORE = ("langchain-core",)

SUMMARY = "Here is a summary of the conversation to date:"
"""How the message begins that SummarizationMiddleware puts in the place of what it drops."""


def to_native(message: Message, _calls: Calls) -> BaseMessage:
    """Return a message as LangChain's."""
    match message.role:
        case "system":
            return SystemMessage(message.content, name=message.name)
        case "user":
            return HumanMessage(message.content, name=message.name)
        case "tool":
            return ToolMessage(message.content, tool_call_id=message.tool_call_id, name=message.name)
        case _:
            calls = [{"name": call.name, "args": inputs(call), "id": call.id} for call in message.tool_calls]
            return AIMessage(message.content, tool_calls=calls, name=message.name)


def to_messages(native: BaseMessage) -> Sequence[Message]:
    """Return one of LangChain's messages as ours."""
    text, name = str(native.text), native.name
    if isinstance(native, ToolMessage):
        return (Message("tool", text, tool_call_id=native.tool_call_id, name=name),)
    if isinstance(native, AIMessage):
        calls = tuple(ToolCall(call["id"] or "", call["name"], spelled(call["args"])) for call in native.tool_calls)
        return (Message("assistant", text, calls, name=name),)
    return (Message("system" if isinstance(native, SystemMessage) else "user", text, name=name),)


CODEC = FrameworkCodec(to_native, to_messages)


def count(messages: Sequence[BaseMessage]) -> int:
    """Return the tokens of *messages* by the plain count."""
    return sum(map(_tokens, messages))


def _tokens(message: BaseMessage) -> int:
    size = len(str(message.content))
    if isinstance(message, AIMessage):
        size += sum(len(call["name"]) + len(spelled(call["args"])) for call in message.tool_calls)
    return size // 4


def trimmed(**options: Any) -> Any:
    """Return a factory of trimmers that call ``trim_messages`` with *options*."""

    def make(limit: int) -> Trimmer:
        return lambda history: trim_messages(history, max_tokens=limit, **{"token_counter": count, **options})

    return make


def summarized(limit: int) -> Trimmer:
    """Summarise above *limit* messages, with a summarizer that only counts, down to *limit*."""
    middleware = SummarizationMiddleware(
        model=FakeListChatModel(responses=["a summary"]),
        trigger=("messages", limit + 1),
        keep=("messages", max(1, limit - 1)),
        token_counter=count,
        summarizer=lambda messages: f"a summary of {count(messages)} tokens",
    )

    def trim(history: list[BaseMessage]) -> list[BaseMessage] | None:
        update = middleware.before_model({"messages": history}, None)
        return None if update is None else list(update["messages"][1:])  # the first says: remove all there is

    return trim


def cleared(limit: int) -> Trimmer:
    """Blank old tool results above *limit* tokens."""
    edit = ClearToolUsesEdit(trigger=limit)

    def trim(history: list[BaseMessage]) -> list[BaseMessage]:
        edited = list(history)
        edit.apply(edited, count_tokens=count)
        return edited

    return trim


RECOMMENDED = {"strategy": "last", "start_on": "human", "include_system": True}

_TOKENS = contract_in("tokens")

SUBJECTS = (
    Subject(
        name="trim_messages (recommended)", make=trimmed(**RECOMMENDED), contract=_TOKENS, codec=CODEC, packages=CORE
    ),
    Subject(name="trim_messages (defaults)", make=trimmed(), contract=_TOKENS, codec=CODEC, packages=CORE),
    Subject(
        name="trim_messages (allow_partial)",
        make=trimmed(allow_partial=True, include_system=True),
        contract=_TOKENS,
        codec=CODEC,
        packages=CORE,
    ),
    Subject(
        name="trim_messages (len)",
        make=trimmed(**RECOMMENDED, token_counter=len),
        contract=contract_in("messages"),
        codec=CODEC,
        packages=CORE,
    ),
    Subject(
        name="SummarizationMiddleware",
        make=summarized,
        contract=contract_in("messages", notes=(SUMMARY,)),
        codec=CODEC,
        packages=("langchain",),
    ),
    Subject(name="ClearToolUsesEdit", make=cleared, contract=_TOKENS, codec=CODEC, packages=("langchain",)),
)
