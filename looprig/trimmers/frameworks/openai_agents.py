"""OpenAI Agents SDK: the limit of a session, asked directly, and as a model sees it behind the runner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, SQLiteSession, Usage, set_tracing_disabled
from agents.memory import SessionSettings
from openai.types.responses import ResponseOutputMessage, ResponseOutputText

from looprig.messages import Message, ToolCall
from looprig.trimmers.contract import NotRepresentable, Subject, Trimmer, contract_in
from looprig.trimmers.frameworks._shape import Kept

PACKAGES = ("openai-agents",)

set_tracing_disabled(True)


class Codec:
    """Items of the Responses API: an assistant message is one for its text, and one for each call."""

    def load(self, messages: Sequence[Message]) -> list[Any]:
        return [item for message in messages for item in _items(message)]

    def dump(self, native: Sequence[Any]) -> list[Message]:
        found: list[Message] = []
        open_calls = False  # calls that follow each other, or the text before them, are one assistant message
        for item in native:
            kind = item.get("type", "message")
            if kind == "function_call":
                call = ToolCall(item["call_id"], item["name"], item["arguments"])
                if open_calls or (found and found[-1].role == "assistant" and not found[-1].tool_calls):
                    last = found.pop()
                    found.append(Message("assistant", last.content, (*last.tool_calls, call)))
                else:
                    found.append(Message("assistant", "", (call,)))
                open_calls = True
                continue
            open_calls = False
            if kind == "function_call_output":
                found.append(Message("tool", item["output"], tool_call_id=item["call_id"]))
            else:
                found.append(Message(item["role"], _text(item["content"])))
        return found


def _items(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [{"type": "function_call_output", "call_id": message.tool_call_id, "output": message.content}]
    calls = [
        {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}
        for call in message.tool_calls
    ]
    text = [{"role": message.role, "content": message.content}] if message.content or not calls else []
    return [*text, *calls]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


class RunCodec(Codec):
    """As the runner is given a history: what is new is a user's message."""

    def load(self, messages: Sequence[Message]) -> list[Any]:
        if not messages or messages[-1].role != "user":
            raise NotRepresentable("a run begins with a user's message")
        return super().load(messages)

    def extend(self, native: Sequence[Any], messages: Sequence[Message]) -> list[Any]:
        """Return *native* with *messages* added."""
        return [*native, *Codec().load(messages)]


def items(messages: Sequence[Message]) -> float:
    """Return the number of items that *messages* are."""
    return len(Codec().load(messages))


def items_before(messages: Sequence[Message]) -> float:
    """Return the number of items without the new message, which comes on top of what a session holds."""
    return items(messages) - 1


def session(limit: int) -> Trimmer:
    """Ask a session that holds the history for its last *limit* items."""

    kept = Kept(_filled)

    async def trim(history: list[Any]) -> list[Any]:
        return list(await (await _ready(kept.of(history))).get_items(limit=limit))

    return trim


def _filled(history: Sequence[Any]) -> list[Any]:
    return [SQLiteSession("one"), list(history)]


async def _ready(made: list[Any]) -> Any:
    """Return the session, into which the items are put the first time."""
    opened, left = made
    await opened.add_items(left)
    left.clear()
    return opened


class _Recorder(Model):  # type: ignore[misc, unused-ignore]
    """A model that notes what it is given."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> ModelResponse:  # noqa: A002
        self.seen = [{"role": "user", "content": input}] if isinstance(input, str) else list(input)
        said = ResponseOutputText(text="done", type="output_text", annotations=[])
        message = ResponseOutputMessage(id="1", content=[said], role="assistant", status="completed", type="message")
        return ModelResponse(output=[message], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("nobody streams here")


def behind_runner(limit: int) -> Trimmer:
    """Run an agent on a session with that limit, and look at what its model gets."""

    async def trim(history: list[Any]) -> list[Any]:
        if history[-1].get("role") != "user":
            raise NotRepresentable("inside a run the session is not asked again")
        model, kept = _Recorder(), SQLiteSession("one")
        try:
            await kept.add_items(history[:-1])
            config = RunConfig(session_settings=SessionSettings(limit=limit), tracing_disabled=True)
            agent = Agent(name="one", model=model)
            await Runner.run(agent, history[-1]["content"], session=kept, run_config=config)
            return model.seen
        finally:
            kept.close()

    return trim


SUBJECTS = (
    Subject(
        name="SQLiteSession.get_items(limit)",
        make=session,
        contract=contract_in(items, mode="view"),
        codec=Codec(),
        packages=PACKAGES,
        slow=True,
    ),
    Subject(
        name="Runner + SessionSettings(limit)",
        make=behind_runner,
        contract=contract_in(items_before, mode="view"),
        codec=RunCodec(),
        packages=PACKAGES,
        slow=True,
    ),
)
