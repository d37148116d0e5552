"""Small results made by hand, for the tests of what is done with results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looprig.conformance.data import (
    AgentResult,
    Cell,
    Cost,
    Example,
    ParallelTools,
    Played,
    Results,
    Smallest,
    TrimmerResult,
    Trouble,
    WholeRun,
)

ORPHAN = Example(history="U C1 T", messages=3, limit=2, result="C1 T", because="it starts with a call")
LONG = Example(history="(U A)x9", messages=18, limit=5, result="(nothing)", because="nothing is left to answer")


def trimmer(name: str = "trim_messages (recommended)", **values: Any) -> TrimmerResult:
    """Return a trimmer of LangChain that breaks C06 and C16."""
    cells = {
        "LR104": Cell(applied=200, broken=66, example=ORPHAN),
        "LR113": Cell(applied=1000, broken=2, example=LONG),
        "LR101": Cell(applied=50, broken=0),
    }
    whole: dict[str, Any] = {
        "kind": "agent",
        "when": "before_model",
        "requests": 84,
        "refused": {"OpenAI": 0.25, "Anthropic": 0.5, "Gemini": 0.001},
        "system_lost": 0.1,
        "user_lost": 0.0,
        "emptied": 0.0,
        "peak": 20,
    }
    usual: dict[str, Any] = {
        "framework": "langchain",
        "packages": {"langchain-core": "1.8.3"},
        "unit": "tokens",
        "mode": "pure",
        "runs": 2280,
        "cells": cells,
        "worst_size": 1.25,
        "chain_kept": (1, 205),
        "cost": Cost(microseconds={"1000": 3774.6, "10000": 377460.0}, exponent=2.0, factor=36539.4),
        "whole_runs": [WholeRun(**whole)],
    }
    return TrimmerResult(name=name, **{**usual, **values})


def agent(broken: Mapping[str, int] | None = None, **values: Any) -> AgentResult:
    """Return an agent of LangChain, played in one scenario."""
    broken = {"LR113": 3} if broken is None else broken
    smallest = {
        code: Smallest(requests=2, shape="S", because="it is empty", replay="looprig conformance langchain -- run x")
        for code in broken
    }
    played = Played(
        scenario="long_tool_chain",
        parameters={"rounds": "30"},
        judged=100,
        broken=broken,
        smallest=smallest,
        metrics={"requests": 36, "messages_sent": 1368, "messages_said": 72, "overhead_per_message_us": 10.0},
    )
    parallel = ParallelTools(
        conflicts=105, overlapping=5, speedup=2.29, possible=1.66, joined=40, out_of_order=0, sibling="the turn fails"
    )
    usual: dict[str, Any] = {
        "framework": "langchain",
        "loop": "langchain",
        "packages": {"langchain": "1.5.2"},
        "scenarios": [played],
        "parallel": parallel,
    }
    return AgentResult(**{**usual, **values})


def results(**values: Any) -> Results:
    """Return results with one trimmer, one agent and one part that ended early."""
    usual: dict[str, Any] = {
        "date": "2026-11-25",
        "looprig": "0.1.0",
        "machine": {"python": "3.11.7", "cores": 2},
        "trimmers": [trimmer()],
        "agents": [agent()],
        "troubles": [Trouble(framework="agno", part="trimmers", because="stopped after 900 s")],
    }
    return Results(**{**usual, **values})
