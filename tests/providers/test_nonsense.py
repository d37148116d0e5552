"""Whatever is sent to Anthropic's and Gemini's APIs, it is taken or refused: there is no third way."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from looprig.providers.anthropic import KEYS as ANTHROPIC_KEYS
from looprig.providers.anthropic import Anthropic
from looprig.providers.base import Refused, Seen
from looprig.providers.gemini import KEYS as GEMINI_KEYS
from looprig.providers.gemini import Gemini

# fmt: off
WORDS = st.sampled_from([
    "role", "content", "parts", "type", "text", "user", "model", "assistant", "system", "tool_use", "tool_result",
    "tool_use_id", "id", "name", "input", "source", "thinking", "signature", "enabled", "functionCall",
    "function_response", "response", "args", "functionResponse", "thought",
])
# fmt: on
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | st.text(max_size=3) | WORDS
ANY = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)


def bodies(keys: frozenset[str], fixed: dict[str, Any]) -> st.SearchStrategy[bytes]:
    more = st.dictionaries(st.sampled_from(sorted(keys)), ANY, max_size=4)
    return st.builds(lambda given: msgspec.json.encode({**fixed, **given}), more)


@given(
    bodies(
        ANTHROPIC_KEYS, {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}
    ),
    bodies(GEMINI_KEYS, {"contents": [{"parts": [{"text": "a"}]}]}),
    st.binary(max_size=20),
)
def test_nonsense(anthropic: bytes, gemini: bytes, noise: bytes):
    """
    Fields of any kind, and bytes of no kind: no other error comes out than a refusal.
    """
    for provider, raw in ((Anthropic(), anthropic), (Gemini(), gemini), (Anthropic(), noise), (Gemini(), noise)):
        with contextlib.suppress(Refused):
            assert provider.receive(raw, Seen(), "gemini-2.5-flash" if provider.name == "gemini" else None).messages


def test_deep():
    """
    A body that is nested without end is refused, not followed.
    """
    deep = b"[" * 100_000
    for provider in (Anthropic(), Gemini()):
        for raw in (
            deep,
            b'{"messages": ' + deep,
            b'{"contents": ' + deep,
            b'{"model": "claude-sonnet-5", "x": ' + deep,
        ):
            with contextlib.suppress(Refused):
                raise AssertionError(provider.receive(raw, Seen(), "gemini-2.5-flash"))
