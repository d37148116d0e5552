"""The usual conversation, walked fast.

Nearly every request is calm from end to end: turns alternate, each is one entry, calls have their results in order
and nothing else beside them. To see this takes half of the time that the rules take. Nothing is refused here:
where the calm ends, the rules go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from looprig.providers.anthropic_items import Item, Text, ToolResult, ToolUse


class Stretch(NamedTuple):
    """How many entries were calm, and what is known after them: `Walk` has the words."""

    walked: int
    role: str
    waiting: list[str]
    answered: list[str]
    calls: list[str]


def calm(items: Sequence[Item], start: int, role: str, waiting: list[str]) -> Stretch:
    """Walk through *items* from *start* on while they are calm, after an entry of *role* with the calls *waiting*."""
    # One loop with nothing but local names, because this is run for each message of each request.
    answered: list[str] = []
    calls: list[str] = []
    walked = 0
    for item in islice(items, start, None):
        content = item.content
        if item.role == "user":
            if role == "user":
                break
            if content.__class__ is str:
                if waiting or not content or content.isspace():
                    break
                answered = []
            elif len(content) == 1 == len(waiting):
                block = content[0]
                if block.__class__ is not ToolResult or block.tool_use_id != waiting[0]:
                    break
                answered, waiting = waiting, []
            elif not waiting or [_answers(block) for block in content] != waiting:
                break
            else:
                answered, waiting = waiting, []
            role = "user"
        else:
            if role != "user" or item.role != "assistant" or content.__class__ is str or not content:
                break
            asked = []
            for block in content:
                if block.__class__ is ToolUse:
                    asked.append(block.id)
                elif block.__class__ is not Text or not block.text or block.text.isspace():
                    break
            else:
                role, waiting = "assistant", asked
                calls += asked
                walked += 1
                continue
            break
        walked += 1
    return Stretch(walked, role, waiting, answered, calls)


def _answers(block: object) -> str | None:
    return block.tool_use_id if block.__class__ is ToolResult else None
