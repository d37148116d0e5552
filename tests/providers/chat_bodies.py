"""Messages and bodies of requests to Chat Completions, as short to write as they can be."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st


def user(text: Any = "hi") -> dict[str, Any]:
    return {"role": "user", "content": text}


def system(text: str = "Be brief.") -> dict[str, Any]:
    return {"role": "system", "content": text}


def said(text: Any = "well") -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def call(call_id: str = "call_a", name: str = "search") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}


def asks(*ids: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [call(each) for each in ids], **more}


def result(call_id: str = "call_a", text: Any = "found") -> dict[str, Any]:
    return {"role": "tool", "content": text, "tool_call_id": call_id}


def body(*messages: Any, **more: Any) -> bytes:
    fields = {"messages": list(messages), "model": "gpt-4o", **more}
    return msgspec.json.encode({key: value for key, value in fields.items() if value is not ...})


TOOL = {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw a history of whole groups, with everything that is legal in between; each id is there once."""
    history: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["user", "system", "answer", "developer", "group", "group"]))
        text = draw(st.sampled_from(["", "x", "long " * 9]))
        if kind == "group":
            ids = [f"call_{number}_{each}" for each in range(draw(st.integers(1, 3)))]
            history.append(asks(*ids, content=draw(st.sampled_from([None, "", "let me see", []]))))
            history += [result(each, text) for each in draw(st.permutations(ids))]
        elif kind == "answer":
            history.append(said(text))
        else:
            history.append(
                {"role": kind, "content": draw(st.sampled_from([text, [], [{"type": "text", "text": text}]]))}
            )
    return history
