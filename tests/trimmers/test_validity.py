"""What a provider would refuse, held against the same rules in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from looprig.messages import Message
from looprig.trimmers import histories
from looprig.trimmers.baseline import head_and_tail, newest
from looprig.trimmers.letters import build
from looprig.trimmers.validity import refuses
from tests.trimmers.plain import anthropic_refuses, gemini_refuses, openai_refuses


@pytest.mark.parametrize(
    ("provider", "plainly"),
    [("openai-chat", openai_refuses), ("anthropic", anthropic_refuses), ("gemini", gemini_refuses)],
)
def test_a_second_opinion(provider: str, plainly: Callable[[Sequence[Message]], str | None]):
    """
    Of all short histories and what naive trimmers leave of them a provider's rules and the plain ones say the same.
    """
    asked = {True: 0, False: 0}
    for letters in histories.short():
        history = build(letters)
        for limit in (3, 4, 6):
            for left in (history, newest(limit)(history), head_and_tail(limit)(history), history[:limit]):
                because = refuses(provider, left)
                assert (because is None) == (plainly(left) is None), (letters, because, plainly(left))
                asked[because is None] += 1

    assert min(asked.values()) > 100
