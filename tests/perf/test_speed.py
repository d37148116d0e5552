"""What the loop and the rig cost, under pytest-benchmark: a smoke size in every run, the full size with ``-m perf``.

No test fails because the machine was slow: what is asserted is counted. Each benchmark notes the digest of what
was computed, so that two speeds are only compared where they answer the same question.
"""

from __future__ import annotations

from typing import Any

import pytest

from looprig import content, testing
from looprig.invariants import Checker
from looprig.observe import views
from looprig.runner import RunOptions, run
from looprig.trace import read
from reference_loop import make_loop
from reference_loop.config import Config
from reference_loop.history import History
from reference_loop.policies import POLICIES
from tests.perf import histories
from tests.perf.targets import section

SIZES = [pytest.param(500, id="smoke"), pytest.param(50_000, id="full", marks=pytest.mark.perf)]


@pytest.mark.parametrize("messages", SIZES)
@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "never"])
def test_appends(benchmark: Any, policy: str, messages: int):
    """
    A policy's work for appending turns with tools, trims included; what is left is counted.
    """
    texts = histories.turns(messages)

    def append_all() -> History:
        history = History(Config(policy=policy, max_history_pairs=50).new_policy())
        for message in texts:
            if message.role == "user":
                history.end_turn()
            history.append(message)
        return history

    history = benchmark(append_all)

    assert messages == len(history) if policy == "masking" else len(history) <= 158
    benchmark.extra_info["per_message"] = messages


@pytest.mark.parametrize("messages", SIZES)
def test_run(benchmark: Any, messages: int):
    """
    A whole run without judging: the loop, the scripted model, the trace.
    """
    benchmark.pedantic(testing.timed(make_loop, "long_conversation", messages=messages), rounds=3)

    benchmark.extra_info["digest"] = testing.play(make_loop, "long_conversation", messages=messages).metrics[
        "tokens_sent"
    ]


@pytest.mark.parametrize("messages", SIZES)
def test_judging(benchmark: Any, tmp_path: Any, messages: int):
    """
    Judging a recording by all invariants.
    """
    recording = tmp_path / "long.jsonl"
    scenario = content.make_scenario("long_conversation", 1, {"messages": str(messages)})
    outcome = run(scenario, make_loop, options=RunOptions(trace=recording))

    def judge() -> Checker:
        checker = Checker()
        for view in views(read(recording)):
            checker.see(view)
        return checker

    checker = benchmark.pedantic(judge, rounds=3)

    assert outcome.judgements["LR102"] == checker.judgements["LR102"] > 0
    benchmark.extra_info["digest"] = outcome.digest


@pytest.mark.parametrize("messages", SIZES)
def test_work_is_flat(messages: int):
    """
    What the rig looks at per message does not grow with the conversation: judgements per message are counted.
    """
    small, large = (testing.play(make_loop, "long_conversation", messages=size) for size in (messages, 4 * messages))

    per_message = [sum(outcome.judgements.values()) / outcome.metrics["messages_said"] for outcome in (small, large)]
    assert per_message[1] <= 1.1 * per_message[0]


def test_report_of_histories():
    """
    The report of what histories cost can be made, in a small size here: whether its targets hold is for the full size.
    """
    part = histories.measure(appends=(1000, 2000), kept=(50, 100, 400), seeds=1)
    printed = section(part)

    assert 5 == len(part.targets)
    assert all(f"| {name}" in printed for name in POLICIES if name != "never")
