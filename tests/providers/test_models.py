"""The table of models finds those that there are, and no others."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from looprig.providers import models

OPENAI = ["gpt-5-mini", "gpt-4o-2024-08-06", "gpt-5.6-terra", "o4-mini", "gpt-3.5-turbo-0125", "ft:gpt-4o-mini:acme::1"]
CLAUDE = ["claude-sonnet-4-5-20250929", "claude-sonnet-5", "claude-opus-4-8", "claude-3-5-sonnet-latest"]
GEMINI = ["gemini-2.5-flash", "models/gemini-2.5-pro", "gemini-3-pro-preview", "gemini-3.8-flash"]


def found(maker: models.Maker, name: str, window: int | None = None) -> models.Profile:
    profile = models.find(maker, name, window)
    assert profile is not None
    return profile


@pytest.mark.parametrize(
    ("maker", "name"),
    [*[("openai", name) for name in OPENAI], *[("anthropic", n) for n in CLAUDE], *[("gemini", n) for n in GEMINI]],
)
def test_known(maker: models.Maker, name: str):
    """
    A well-known model is found, with its date or without.
    """
    assert models.find(maker, name) is not None


@pytest.mark.parametrize(
    ("maker", "name"),
    [
        ("openai", "gpt-x"),
        ("openai", "claude-sonnet-5"),
        ("openai", "gpt-4o-2024-08-06-extra"),
        ("openai", ""),
        ("anthropic", "claude-x"),
        ("anthropic", "gpt-4o"),
        ("gemini", "gemini-x"),
    ],
)
def test_unknown(maker: models.Maker, name: str):
    """
    A model that there is not, or that another provider has, is not found.
    """
    assert models.find(maker, name) is None


def test_names_of_the_official_clients():
    """
    Every model for chat that the official clients name is in the table, previews for special customers apart.
    """
    from anthropic.types.model import Model
    from openai.types.shared.chat_model import ChatModel

    claude = [name for part in get_args(Model) for name in get_args(part)]

    assert [] == [name for name in get_args(ChatModel) if models.find("openai", name) is None]
    assert [] == [name for name in claude if models.find("anthropic", name) is None]
    assert len(claude) > 10
    assert len(get_args(ChatModel)) > 50


def test_differences_between_models():
    """
    What differs between generations is data: reasoning, prefill, system messages, the name of the output limit.
    """
    old, new = found("openai", "gpt-4o"), found("openai", "gpt-5")
    prefilled, strict = found("anthropic", "claude-opus-4-5"), found("anthropic", "claude-opus-4-6")

    assert ("max_tokens", "max_completion_tokens") == (old.limit_name, new.limit_name)
    assert (False, True) == (old.reasoning, new.reasoning)
    assert (True, False) == (prefilled.prefill, strict.prefill)
    assert (128_000, 200_000) == (old.window, prefilled.window)


def test_window_of_ones_own():
    """
    A window may be set for a test, and nothing else of the model changes.
    """
    small, usual = found("openai", "gpt-4o", 100), found("openai", "gpt-4o")

    assert (100, 128_000) == (small.window, usual.window)
    assert usual.max_output == small.max_output


@pytest.mark.parametrize("profile", models.PROFILES, ids=lambda profile: profile.pattern)
def test_rows(profile: models.Profile):
    """
    Each row's pattern can be read, and what is not pinned is a column of the table.
    """
    re.compile(profile.pattern)

    assert set(profile.unpinned) <= set(models.Profile.__struct_fields__)
    assert 0 < profile.max_output
    assert 0 < profile.window
