"""The trimmers of frameworks: one file a framework, which imports it and is imported only where it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from looprig.trimmers import baseline
from looprig.trimmers.contract import Subject

BASELINE = "baseline"
"""What everything is held against: the naive trimmers, and the careful one."""

FRAMEWORKS: Sequence[str] = (
    BASELINE,
    "langchain",
    "langgraph",
    "langmem",
    "llama-index",
    "autogen",
    "ag2",
    "semantic-kernel",
    "agent-framework",
    "pydantic-ai",
    "strands",
    "openai-agents",
    "google-adk",
    "haystack",
    "agno",
    "camel",
    "litellm",
)
"""The baseline and the files of this folder, in the order of the report."""


def subjects(framework: str) -> Sequence[Subject]:
    """Return the trimmers of a *framework*.

    Raises:
        ImportError: where the framework is not installed.
    """
    if framework == BASELINE:
        return baseline.SUBJECTS
    found: Sequence[Subject] = importlib.import_module(f"{__name__}.{framework.replace('-', '_')}").SUBJECTS
    return found
