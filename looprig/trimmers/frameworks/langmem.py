"""LangMem: ``summarize_messages``, called without the summary of the time before."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import BaseMessage
from langgraph.graph.message import add_messages
from langmem.short_term import summarize_messages

from looprig.trimmers.contract import Subject, Trimmer, contract_in
from looprig.trimmers.frameworks.langchain import count
from looprig.trimmers.frameworks.langgraph import CODEC  # it wants ids too

PACKAGES = ("langmem",)

NOTE = "Summary of the conversation so far:"


def summarized(limit: int) -> Trimmer:
    """Summarise above *limit* tokens, with a model that always says the same."""
    model = FakeListChatModel(responses=["a summary"])

    def trim(history: list[BaseMessage]) -> Any:
        result = summarize_messages(
            history,
            running_summary=None,
            model=model,
            max_tokens=limit,
            max_summary_tokens=max(1, limit // 5),
            token_counter=count,
        )
        return add_messages([], list(result.messages))  # as a graph's state would give its summary an id

    return trim


SUBJECTS = (
    Subject(
        name="summarize_messages",
        make=summarized,
        contract=contract_in("tokens", notes=(NOTE,)),
        codec=CODEC,
        packages=PACKAGES,
    ),
)
