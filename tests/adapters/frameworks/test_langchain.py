"""LangChain's agent, and what its recommended trim makes of a long chain of calls."""

from __future__ import annotations

import functools
import subprocess
import sys

from looprig.adapters import langchain
from looprig.testing import check_adapter, play


def test_adapter_is_faithful():
    """
    The agent plays all three scenarios without a finding: nothing is trimmed, and nothing lost.
    """
    outcomes = check_adapter(langchain.make)

    assert [{}, {}, {}] == [outcome.broken for outcome in outcomes]


def test_calls_of_a_round_run_at_once():
    """
    The tool node runs all calls of a reply together, those too that write the same file.
    """
    outcome = play(langchain.make, "parallel_tools", turns=6)

    assert outcome.metrics["parallel_speedup"] > outcome.metrics["parallel_speedup_possible"]


def test_recommended_trim_starts_over():
    """
    With `trim_messages` as LangChain recommends it, a turn that outgrows the limit begins again for ever.

    The trim keeps the newest messages that fit and then drops what stands before a user's message; the only one of
    the turn is too old to fit, so that the system message alone is left. Looprig stops the turn and names the rule.
    """
    outcome = play(functools.partial(langchain.make, trim=600), "long_tool_chain", rounds=30)

    assert {"LR102", "LR103", "LR113", "LR151", "LR152"} == outcome.broken.keys()
    (stopped,) = [found for found in outcome.violations if found.code == "LR151"]
    assert "the turn would not end: TurnStopped: the turn asked the model 83 times" in stopped.because
    again = next(found for found in outcome.violations if found.code == "LR152")
    assert "round 0 was asked for again after round 7" == again.because


def test_recommended_trim_on_the_command_line():
    """
    The command that the documentation shows says the same, and exits with 1.
    """
    loop = "looprig.adapters.langchain:make,trim=600"
    command = [sys.executable, "-m", "looprig", "run", "long_tool_chain", "--set", "rounds=30", "--no-traces"]
    done = subprocess.run([*command, "--loop", loop], capture_output=True, text=True, timeout=120)

    assert 1 == done.returncode, done.stderr
    assert "LR152 turn_does_not_start_over" in done.stdout
    assert f"--loop {loop} --set rounds=30" in done.stdout


def test_smallest_case():
    """
    One call is enough: with a limit that its result just exceeds, only the system message is left of four messages.
    """
    outcome = play(functools.partial(langchain.make, trim=70), "long_tool_chain", rounds=1, before=0, after=0)

    emptied = next(found for found in outcome.violations if found.code == "LR113")
    assert ("S", "only system messages are left of 4 messages") == (emptied.shape, emptied.because)
    assert "LR152" in outcome.broken


def test_system_message_later_in_the_conversation():
    """
    What the application adds later joins the conversation where it was added.
    """
    assert {} == play(langchain.make, "many_systems", turns=6).broken
