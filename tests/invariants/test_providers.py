"""The invariants about providers: for whom they are asked, and what asking costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from looprig import cli
from looprig.invariants import providers
from looprig.loop import Contract
from looprig.messages import Message
from looprig.providers import PROVIDERS
from looprig.providers.base import Seen
from looprig.runner import RunOptions, run
from looprig.subject import LoopError, for_providers
from tests.invariants.planted import Careful, Never, standard_scenario

CODES = {"openai-chat": "LR201", "openai-responses": "LR202", "anthropic": "LR203", "gemini": "LR204"}


def test_names():
    """
    The command line knows the providers that there are, and each has an invariant.
    """
    assert tuple(PROVIDERS) == cli.PROVIDERS
    assert set(PROVIDERS) == set(CODES)


@pytest.mark.parametrize("name", PROVIDERS)
def test_only_where_it_is_named(name: str):
    """
    A provider's rules are asked where the contract or the run names it, and nowhere else.
    """
    scenario = standard_scenario("pending_calls")
    contract = Contract(providers=(name,))

    silent = run(scenario, Careful).judgements
    named = run(scenario, Careful, options=RunOptions(contract=contract)).judgements
    added = run(scenario, Careful, options=RunOptions(providers=(name,))).judgements

    assert {0} == {silent[code] for code in CODES.values()}
    for judgements in (named, added):
        assert {CODES[name]} == {code for code in CODES.values() if judgements[code]}


def test_unknown_provider():
    """
    A provider that there is not is refused, with those that there are.
    """
    says = "unknown provider 'nobody'; known are openai-chat, openai-responses, anthropic, gemini"
    with pytest.raises(LoopError, match=says):
        run(standard_scenario("pending_calls"), Careful, options=RunOptions(providers=("nobody",)))
    assert ("gemini", "anthropic") == for_providers(Contract(providers=("gemini",)), ("anthropic", "gemini")).providers


class Counting:
    """Passes on to a provider, and counts the messages that it is asked about."""

    def __init__(self, name: str) -> None:
        self.provider, self.asked, self.times, self.longest = PROVIDERS[name], 0, 0, 0

    def judge(self, messages: Sequence[Message], start: int, seen: Seen) -> Any:
        self.asked += len(messages) - start
        self.longest = max(self.longest, len(messages))
        self.times += 1
        return self.provider.judge(messages, start, seen)


def counted(monkeypatch: pytest.MonkeyPatch, loop: Any, **settings: Any) -> tuple[Counting, Any]:
    counting = Counting("openai-chat")
    monkeypatch.setitem(cast(dict[str, Any], PROVIDERS), "openai-chat", counting)
    scenario = standard_scenario("long_conversation")
    return counting, run(scenario, loop, options=RunOptions(providers=("openai-chat",), **settings))


def test_work_grows_with_what_is_added(monkeypatch: pytest.MonkeyPatch):
    """
    Of a conversation that only grows, each message is looked at once.
    """
    counting, outcome = counted(monkeypatch, Never)

    assert 79 == counting.times == outcome.judgements["LR201"]
    assert 158 == counting.longest == counting.asked


class SendsAStray(Never):
    """Sends a result that answers nothing as its second message, for ever."""

    def request(self) -> list[Message]:
        return [self.history[0], Message(role="tool", content="x", tool_call_id="nobody"), *self.history[1:]]


def test_history_that_stays_broken(monkeypatch: pytest.MonkeyPatch):
    """
    A history that stays broken is judged again until it has grown by so many messages, and then no more.
    """
    monkeypatch.setattr(providers, "LOOK_BACK", 20)
    counting, outcome = counted(monkeypatch, SendsAStray)

    assert 10 <= counting.times == outcome.broken["LR201"] < 20
    assert counting.asked < 20 * 20


class MendsItself(Never):
    """Sends a system message between a call and its result, once."""

    done = False

    def request(self) -> list[Message]:
        sent = super().request()
        if self.done or sent[-1].role != "tool":
            return sent
        self.done = True
        return [*sent[:-1], Message(role="system", content="Look at the result."), sent[-1]]


def test_request_that_is_accepted_again():
    """
    After a request that was refused, one that is whole again is accepted.
    """
    outcome = run(standard_scenario("long_tool_chain"), MendsItself, options=RunOptions(providers=("openai-chat",)))

    assert 1 == outcome.broken["LR201"] < outcome.judgements["LR201"]


def test_after_a_cut(monkeypatch: pytest.MonkeyPatch):
    """
    A request that was cut is judged from its beginning.
    """
    counting, outcome = counted(monkeypatch, Careful)

    assert outcome.judgements["LR201"] == counting.times
    assert 159 < counting.asked < 159 * 3
    assert {} == outcome.broken
