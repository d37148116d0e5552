"""Items and bodies of requests to Responses, as short to write as they can be."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st


def user(text: Any = "hi") -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: Any = "well", **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": text, **more}


def call(call_id: str = "call_a", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "search", "arguments": "{}", **more}


def result(call_id: str = "call_a", output: Any = "found", **more: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output, **more}


def thought(item_id: str = "rs_1") -> dict[str, Any]:
    return {"type": "reasoning", "id": item_id, "summary": []}


def body(*items: Any, **more: Any) -> bytes:
    fields = {"input": list(items), "model": "gpt-4o", **more}
    return msgspec.json.encode({key: value for key, value in fields.items() if value is not ...})


@st.composite
def inputs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw an input of whole groups, whose calls and results may have other items between them."""
    items: list[dict[str, Any]] = []
    waiting: list[str] = []
    for number in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(["user", "answer", "call", "call", "result", "thought"]))
        if kind == "user":
            items.append(user(draw(st.sampled_from(["", "x", [], [{"type": "input_text", "text": "y"}]]))))
        elif kind == "answer":
            items.append(said(draw(st.sampled_from(["", "x", [{"type": "output_text", "text": "y"}]]))))
        elif kind == "result" and waiting:
            items.append(result(waiting.pop(draw(st.integers(0, len(waiting) - 1)))))
        else:
            items += [thought(f"rs_{number}")] if kind == "thought" else []
            items.append(call(f"call_{number}", id=f"fc_{number}"))
            waiting.append(f"call_{number}")
    return items + [result(each) for each in draw(st.permutations(waiting))]
