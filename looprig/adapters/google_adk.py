"""Google's Agent Development Kit: `google.adk.agents.LlmAgent` in an `InMemoryRunner`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.apps import App
from google.adk.models import BaseLlm, LlmResponse
from google.adk.plugins.context_filter_plugin import ContextFilterPlugin
from google.adk.runners import InMemoryRunner
from google.adk.tools.base_tool import BaseTool
from google.genai import types

from looprig.adapters import chat
from looprig.loop import Contract

FRAMEWORK = "google-adk"
PACKAGES = ("google-adk",)
EXTRA = "google-adk"

NAME = "looprig"
IDENTITY = "You are an agent. Your internal name is"
"""How the sentence starts that the framework adds to every system prompt."""


def make(model: Any, tools: Any, *, keep_turns: int | None = None) -> Loop:
    """Return an agent in a session of its own; ``keep_turns`` installs the framework's `ContextFilterPlugin`."""
    plugins = [] if keep_turns is None else [ContextFilterPlugin(num_invocations_to_keep=keep_turns)]
    return Loop(model, tools, plugins)


class Loop:
    """One conversation with an agent, whose events a session keeps."""

    contract = Contract(notes=("identity",))

    def __init__(self, model: Any, tools: Any, plugins: list[Any]) -> None:
        self._systems: list[str] = []
        agent = LlmAgent(
            name=NAME,
            model=_Model(model=NAME, asked=model),
            # A function, because a text would be taken for a template.
            instruction=lambda _context: chat.BETWEEN.join(self._systems),
            tools=[_Tool(tool) for tool in tools.values()],
        )
        self._runner = InMemoryRunner(app=App(name=NAME, root_agent=agent, plugins=plugins))
        self._runner.auto_create_session = True

    def add_system(self, text: str) -> None:
        self._systems.append(text)

    async def send(self, text: str) -> str:
        answer = ""
        said = types.Content(role="user", parts=[types.Part(text=text)])
        async for event in self._runner.run_async(user_id=NAME, session_id=NAME, new_message=said):
            if event.is_final_response() and event.content and event.content.parts:
                answer = "".join(part.text or "" for part in event.content.parts)
        return answer


def chats(contents: Iterable[Any]) -> list[chat.Chat]:
    """Return Gemini contents as chat messages; a function's results come as parts of one user content."""
    return [entry for content in contents for entry in _chats(content)]


def _chats(content: Any) -> list[chat.Chat]:
    parts = content.parts or ()
    text = "".join(part.text or "" for part in parts)
    if content.role == "model":
        calls = [part.function_call for part in parts if part.function_call]
        return [chat.asked(text, [chat.Call(call.id, call.name, chat.written(call.args)) for call in calls])]
    results = [part.function_response for part in parts if part.function_response]
    entries = [chat.result(result.id, _result_text(result.response)) for result in results]
    return [*entries, chat.said("user", text)] if text or not entries else entries


def _result_text(response: Any) -> str:
    """Return a tool's text, which the framework puts into a dict; what the framework itself says, as JSON."""
    return chat.shown(response["result"] if set(response) == {"result"} else response)


def _systems(prompt: Any) -> list[chat.Chat]:
    """Return the system messages; the sentence that the framework adds is marked as a note of its own."""
    entries = chat.systems(prompt if isinstance(prompt, str) else None)
    return [{**entry, "name": "identity"} if entry["content"].startswith(IDENTITY) else entry for entry in entries]


class _Model(BaseLlm):
    """Looprig's model as an ADK model."""

    asked: Any

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncIterator[LlmResponse]:
        systems = _systems(llm_request.config.system_instruction)
        reply = await self.asked.acomplete([*systems, *chats(llm_request.contents)])
        parts = [types.Part(text=reply["content"])] if reply["content"] else []
        parts += [
            types.Part(function_call=types.FunctionCall(id=call.id, name=call.name, args=call.parsed()))
            for call in chat.calls_of(reply)
        ]
        usage = types.GenerateContentResponseUsageMetadata(prompt_token_count=0, candidates_token_count=0)
        yield LlmResponse(content=types.Content(role="model", parts=parts), usage_metadata=usage)


class _Tool(BaseTool):
    """One of looprig's tools as an ADK tool; what it raises ends the turn, as the framework has it."""

    def __init__(self, tool: Any) -> None:
        super().__init__(name=tool.name, description=tool.description)
        self._tool = tool

    def _get_declaration(self) -> types.FunctionDeclaration:
        schema = dict(self._tool.parameters)
        return types.FunctionDeclaration(name=self.name, description=self.description, parameters_json_schema=schema)

    async def run_async(self, *, args: Any, tool_context: Any) -> str:
        return await chat.run(self._tool, args)
