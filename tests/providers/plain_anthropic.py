"""Anthropic's rules about a conversation's shape once more, without a thought for speed or for what comes first."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from looprig.providers.anthropic_rules import SIGNED, signature

Turn = tuple[str, list[dict[str, Any]]]


def turns_of(entries: Sequence[dict[str, Any]]) -> list[Turn]:
    """Put entries of one role in a row together."""
    turns: list[Turn] = []
    for entry in entries:
        content = entry["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) and content else list(content)
        if turns and turns[-1][0] == entry["role"]:
            turns[-1][1].extend(blocks)
        else:
            turns.append((entry["role"], blocks))
    return turns


def broken(entries: Sequence[dict[str, Any]], *, prefill: bool, system_inside: bool, thinking: bool) -> set[str]:
    """Return all rules that the conversation breaks; nobody says in which order."""
    turns = turns_of(entries)
    found: set[str] = set() if turns else {"A17"}
    roles = [role for role, _ in turns]
    if "system" in roles and (not system_inside or roles[0] == "system"):
        found.add("A9")
    if ("system", "user") in itertools.pairwise(roles):
        found.add("A10")
    if roles[:1] == ["assistant"]:
        found.add("A7")
    calls = [block["id"] for _, blocks in turns for block in blocks if block["type"] == "tool_use"]
    if len(set(calls)) < len(calls):
        found.add("A5")
    for number, (role, blocks) in enumerate(turns):
        found |= _turn(role, blocks, last=number == len(turns) - 1)
    return found | _pairs(turns) | _end(turns, prefill=prefill, thinking=thinking)


def _turn(role: str, blocks: list[dict[str, Any]], *, last: bool) -> set[str]:
    found: set[str] = set()
    kinds = [block["type"] for block in blocks]
    if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
        found.add("A14")
    if ({"tool_use", "thinking"} & {*kinds} and role != "assistant") or ("tool_result" in kinds and role != "user"):
        found.add("A0")
    if not blocks and role == "user":
        found.add("A12")
    if not blocks and (role == "system" or (role == "assistant" and not last)):
        found.add("A13")
    if role == "assistant" and kinds[-1:] == ["thinking"]:
        found.add("A24")
    return found


def _pairs(turns: list[Turn]) -> set[str]:
    found: set[str] = set()
    for number, (role, blocks) in enumerate(turns):
        after = turns[number + 1] if number + 1 < len(turns) else ("", [])
        before = turns[number - 1] if number else ("", [])
        asked = [block["id"] for block in blocks if block["type"] == "tool_use"]
        given = [block["tool_use_id"] for block in after[1] if block["type"] == "tool_result"]
        if role == "assistant" and (set(asked) - set(given if after[0] == "user" else [])):
            found.add("A1")
        if role == "user":
            known = (
                [block["id"] for block in before[1] if block["type"] == "tool_use"] if before[0] == "assistant" else []
            )
            answers = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
            found |= {"A2"} if set(answers) - set(known) else set()
            found |= {"A4", "A2"} if len(set(answers)) < len(answers) else set()
            found |= {"A3"} if any(b["type"] == "tool_result" for b in blocks[len(answers) :]) else set()
    return found


def _end(turns: list[Turn], *, prefill: bool, thinking: bool) -> set[str]:
    found: set[str] = set()
    last = turns[-1] if turns else ("", [])
    if last[0] == "assistant" and not prefill:
        found.add("A16")
    if last[0] == "assistant" and last[1] and last[1][-1].get("text", "x")[-1:].isspace():
        found.add("A15")
    assistants = [blocks for role, blocks in turns if role == "assistant"]
    for block in assistants[-1] if assistants else []:
        own = block["type"] == "thinking" and block["signature"].startswith(SIGNED)
        if own and block["signature"] != signature(block["thinking"]):
            found.add("A23")
    if thinking and last[0] == "user" and any(block["type"] == "tool_result" for block in last[1]):
        chain: list[dict[str, Any]] = []
        for role, blocks in turns:
            if role == "user" and not any(block["type"] == "tool_result" for block in blocks):
                chain = []
            elif role == "assistant" and not chain:
                chain = blocks
        if chain and chain[0]["type"] != "thinking":
            found.add("A22")
    return found
