"""LiteLLM: ``trim_messages`` on chat-completions dicts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from unittest import mock

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or importing it asks the network for prices

import litellm.utils

from looprig.trimmers.contract import DictsCodec, Subject, Trimmer, contract_in

PACKAGES = ("litellm",)


def count(model: str = "", messages: Sequence[dict[str, Any]] | None = None, text: str | None = None, **_: Any) -> int:
    """Return tokens by the plain count; LiteLLM's own counter is put aside, since it offers no other way."""
    if messages is None:
        return len(text or "") // 4
    return sum(map(_tokens, messages))


def _tokens(message: dict[str, Any]) -> int:
    functions = [call["function"] for call in message.get("tool_calls") or ()]
    size = len(message.get("content") or "") + sum(len(each["name"]) + len(each["arguments"]) for each in functions)
    return size // 4


def trimmed(limit: int) -> Trimmer:
    """Trim to *limit* tokens."""

    def trim(history: list[Any]) -> Any:
        with mock.patch.object(litellm.utils, "token_counter", count):
            return litellm.utils.trim_messages(history, max_tokens=limit)

    return trim


SUBJECTS = (
    Subject(
        name="trim_messages",
        make=trimmed,
        contract=contract_in("tokens"),
        codec=DictsCodec(),
        packages=PACKAGES,
    ),
)
