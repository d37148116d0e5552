"""What each model takes and refuses, as a table: the providers' rules ask it and know no model by name.

A row stands for a family; its pattern finds the family's members with their dates. Windows and limits of output are
those that two public sources agree on: the providers' own documentation, and the tables of client libraries. What
nothing recorded backs is named in ``unpinned``, and is no reason to blame a loop.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

import msgspec

Maker = Literal["openai", "anthropic", "gemini"]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A family of models.

    ``window`` is the most tokens that a prompt may have, ``max_output`` the most that an answer may. ``limit_name``
    is the parameter that bounds the answer. ``prefill`` says whether a request may end with an assistant message,
    ``system_inside`` whether a system message may stand among the others. ``reasoning`` models think before they
    answer (OpenAI: reasoning items; Anthropic: thinking blocks where asked for; Gemini: thoughts). ``signatures``
    says whether a call that is sent again has to carry its thought signature. ``strict_window`` says whether prompt
    and wanted output together must fit the window.
    """

    maker: Maker
    pattern: str
    window: int
    max_output: int
    limit_name: str
    prefill: bool
    system_inside: bool
    reasoning: bool
    signatures: bool = False
    strict_window: bool = False
    unpinned: tuple[str, ...] = ()


def _openai(pattern: str, window: int, max_output: int, *unpinned: str, reasoning: bool = False) -> Profile:
    return Profile(
        maker="openai",
        pattern=pattern,
        window=window,
        max_output=max_output,
        limit_name="max_completion_tokens" if reasoning else "max_tokens",
        prefill=True,
        system_inside=True,
        reasoning=reasoning,
        unpinned=unpinned,
    )


def _claude(
    pattern: str,
    window: int,
    max_output: int,
    *unpinned: str,
    prefill: bool = False,
    system_inside: bool = False,
    reasoning: bool = True,
) -> Profile:
    return Profile(
        maker="anthropic",
        pattern=pattern,
        window=window,
        max_output=max_output,
        limit_name="max_tokens",
        prefill=prefill,
        system_inside=system_inside,
        reasoning=reasoning,
        strict_window=prefill,  # The newer models, which take no prefill, answer and stop at the window instead.
        unpinned=("strict_window", *unpinned),
    )


def _gemini(pattern: str, window: int, max_output: int, *unpinned: str, signatures: bool = False) -> Profile:
    return Profile(
        maker="gemini",
        pattern=pattern,
        window=window,
        max_output=max_output,
        limit_name="maxOutputTokens",
        prefill=False,
        system_inside=False,
        reasoning="2\\.0" not in pattern,
        signatures=signatures,
        unpinned=("prefill", *unpinned),
    )


_DATED = r"(?:-\d{4}-\d{2}-\d{2})?"

PROFILES: tuple[Profile, ...] = (
    # OpenAI. Of several that match the first counts.
    _openai(r"gpt-3\.5-turbo(?:-16k)?(?:-\d{4})?", 16_385, 4_096),
    _openai(r"gpt-4-32k(?:-\d{4})?", 32_768, 4_096, "max_output"),
    _openai(r"gpt-4-(?:turbo(?:-preview)?|1106-preview|0125-preview|vision-preview)" + _DATED, 128_000, 4_096),
    _openai(r"gpt-4(?:-\d{4})?", 8_192, 4_096),
    _openai(r"gpt-4o-2024-05-13", 128_000, 4_096),
    _openai(
        r"(?:gpt-4o(?:-mini)?(?:-audio-preview|-search-preview)?" + _DATED + "|chatgpt-4o-latest)", 128_000, 16_384
    ),
    _openai(r"gpt-audio(?:-mini)?" + _DATED, 128_000, 16_384, "max_output"),
    _openai(r"gpt-4\.1(?:-mini|-nano)?" + _DATED, 1_047_576, 32_768),
    _openai(r"o1-mini" + _DATED, 128_000, 65_536, "window", "max_output", reasoning=True),
    _openai(r"o1-preview" + _DATED, 128_000, 32_768, "window", "max_output", reasoning=True),
    _openai(r"(?:o1|o3|o4)(?:-mini|-pro)?(?:-deep-research)?" + _DATED, 200_000, 100_000, reasoning=True),
    _openai(r"codex-mini-latest", 200_000, 100_000, "window", "max_output", reasoning=True),
    _openai(r"computer-use-preview" + _DATED, 8_192, 1_024, reasoning=True),
    _openai(r"gpt-5(?:\.\d)?-chat-latest", 128_000, 16_384),
    _openai(r"gpt-5(?:-pro)" + _DATED, 400_000, 272_000, reasoning=True),
    _openai(r"gpt-5\.1-codex(?:-mini|-max)?", 400_000, 128_000, reasoning=True),
    _openai(r"gpt-5\.[45](?:-pro)?" + _DATED, 1_050_000, 128_000, reasoning=True),
    _openai(r"gpt-5\.6-cyber", 400_000, 128_000, reasoning=True),
    _openai(r"gpt-5\.6(?:-sol|-terra|-luna)?" + _DATED, 922_000, 128_000, reasoning=True),
    _openai(r"gpt-5(?:\.\d)?(?:-mini|-nano|-pro|-codex|-search-api)?" + _DATED, 272_000, 128_000, reasoning=True),
    _openai(
        r"gpt-6(?:\.\d)?(?:-astra|-sol|-terra|-luna|-cyber|-rosalind)(?:-law)?" + _DATED,
        922_000,
        128_000,
        reasoning=True,
    ),
    # Anthropic. That a system message may stand among the others was measured for claude-sonnet-5.
    _claude(r"claude-3-(?:opus|sonnet|haiku)-\d{8}", 200_000, 4_096, "max_output", prefill=True, reasoning=False),
    _claude(
        r"claude-3-5-(?:sonnet|haiku)-(?:\d{8}|latest)", 200_000, 8_192, "max_output", prefill=True, reasoning=False
    ),
    _claude(r"claude-3-7-sonnet-(?:\d{8}|latest)", 200_000, 64_000, "max_output", prefill=True),
    _claude(r"claude-opus-4(?:-[01])?(?:-\d{8})?", 200_000, 32_000, "max_output", prefill=True),
    _claude(r"claude-sonnet-4(?:-0)?(?:-\d{8})?", 200_000, 64_000, "max_output", prefill=True),
    _claude(r"claude-(?:opus|sonnet|haiku)-4-5(?:-\d{8})?", 200_000, 64_000, prefill=True),
    _claude(r"claude-(?:opus|sonnet)-4-[6-9](?:-\d{8})?", 1_000_000, 128_000, "system_inside"),
    _claude(r"claude-sonnet-5(?:-\d{8})?", 1_000_000, 128_000, system_inside=True),
    _claude(
        r"claude-(?:(?:opus|sonnet|haiku|fable|mythos)-5(?:-\d)?(?:-\d{8})?|mythos-preview)",
        1_000_000,
        128_000,
        "system_inside",
        system_inside=True,
    ),
    # Gemini.
    _gemini(r"gemini-2\.0-flash(?:-lite)?(?:-[\w.-]+)?", 1_048_576, 8_192, "max_output"),
    _gemini(r"gemini-2\.5-(?:pro|flash|flash-lite)(?:-[\w.-]+)?", 1_048_576, 65_535),
    _gemini(r"gemini-2\.5-computer-use-preview-[\d-]+", 128_000, 64_000),
    _gemini(r"gemini-3(?:\.\d)?-(?:pro|flash|flash-lite)(?:-[\w.-]+)?", 1_048_576, 65_536, signatures=True),
)

_FINE_TUNED = re.compile(r"ft:([^:]+):")


@lru_cache(maxsize=256)
def find(maker: Maker, model: str, window: int | None = None) -> Profile | None:
    """Return the profile of *model*, or None where *maker* has no such model; *window* stands in for its own."""
    name = model.removeprefix("models/") if maker == "gemini" else model
    if maker == "openai" and (tuned := _FINE_TUNED.match(model)):
        name = tuned[1]
    for profile in PROFILES:
        if profile.maker == maker and re.fullmatch(profile.pattern, name):
            return profile if window is None else msgspec.structs.replace(profile, window=window)
    return None
