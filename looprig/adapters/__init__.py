"""Chat loops around the agent frameworks that people use: one file a framework, each a loop factory.

An adapter is ``make(model, tools, **options)``: the framework's real agent loop, with looprig's model behind the
framework's own model class and looprig's tools as the framework's tool objects. The framework keeps the history the
way its users let it, so that what a run shows is the framework's doing.

Each file says in module constants which framework it drives (``FRAMEWORK``), whose versions count (``PACKAGES``),
which extra of looprig installs them (``EXTRA``), and where it cannot run in virtual time ``CLOCK = "real"``.
"""

from __future__ import annotations

from collections.abc import Mapping

ADAPTERS: Mapping[str, str] = {
    "ag2": "looprig.adapters.ag2:make",
    "agent-framework": "looprig.adapters.agent_framework:make",
    "agno": "looprig.adapters.agno:make",
    "anthropic-sdk": "looprig.adapters.anthropic_sdk:make",
    "autogen": "looprig.adapters.autogen:make",
    "camel": "looprig.adapters.camel:make",
    "google-adk": "looprig.adapters.google_adk:make",
    "haystack": "looprig.adapters.haystack:make",
    "langchain": "looprig.adapters.langchain:make",
    "litellm": "looprig.adapters.litellm:make",
    "llama-index": "looprig.adapters.llama_index:make",
    "openai-agents": "looprig.adapters.openai_agents:make",
    "openai-sdk": "looprig.adapters.openai_sdk:make",
    "plain": "looprig.adapters.plain:make",
    "pydantic-ai": "looprig.adapters.pydantic_ai:make",
    "semantic-kernel": "looprig.adapters.semantic_kernel:make",
    "smolagents": "looprig.adapters.smolagents:make",
    "strands": "looprig.adapters.strands:make",
}
"""Name to factory as ``--loop`` takes it. A name is also the name of the extra that installs what the adapter needs;
nothing is imported before it is asked for."""
