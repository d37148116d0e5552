"""Comparisons: what one value decides, and what stays undecided."""

from __future__ import annotations

import pytest

from looprig import compare, content, suite, target
from looprig.compare import verdict
from looprig.progress import Tell
from looprig.verdicts import Verdict

SILENT = Tell(lambda number, name: None, lambda turn, turns: None)


@pytest.mark.parametrize(
    ("metric", "before", "after", "expected"),
    [
        ("tokens_sent", 100, 100, Verdict.UNCHANGED),
        ("tokens_sent", 100, 101, Verdict.REGRESSED),
        ("tokens_sent", 100, 99, Verdict.IMPROVED),
        ("cached_prefix_share", 0.5, 0.6, Verdict.IMPROVED),
        ("cached_prefix_share", 0.5, 0.4, Verdict.REGRESSED),
        ("messages_trimmed", 5, 6, Verdict.CHANGED),
        ("overhead_per_message_us", 10, 10, Verdict.UNDECIDED),
        ("overhead_per_message_us", 10, 99, Verdict.UNDECIDED),
        ("parallel_speedup", None, 2.0, Verdict.UNDECIDED),
    ],
)
def test_verdict(metric: str, before: float | None, after: float, expected: Verdict):
    """
    An exact metric decides by one value and in its own direction; a noisy or missing one decides nothing.
    """
    assert expected == verdict(metric, before, after)


def test_verdict_in_real_time():
    """
    What is exact in virtual time is noisy in real time.
    """
    assert Verdict.REGRESSED == verdict("turn_time_s_p99", 1.0, 1.1)
    assert Verdict.UNDECIDED == verdict("turn_time_s_p99", 1.0, 1.1, virtual=False)


def test_interleaving():
    """
    The sides take turns, and who goes first alternates from round to round.
    """
    order: list[str] = []
    tell = Tell(lambda number, name: order.append(name), lambda turn, turns: None)
    files = [content.find_scenario("repeated_ids")]
    sides = (target.find("reference,policy=never"), target.find("reference,policy=grouped"))

    compared = compare.compare(sides, files, suite.Settings(parameters={"turns": "4"}), 3, tell)

    policies = [name.rsplit("=", 1)[1] for name in order]
    assert ["never", "grouped", "grouped", "never", "never", "grouped"] == policies
    assert 3 == len(compared.before.runs["repeated_ids"]) == len(compared.after.runs["repeated_ids"])


def test_totals():
    """
    Sums, largest values and weighted means go over the scenarios.
    """
    files = [content.find_scenario(name) for name in ("repeated_ids", "parallel_tools")]
    loop = target.find("reference,max_history_pairs=10")
    side = compare.compare((loop, loop), files, suite.Settings(), 1, SILENT).before

    tokens = [side.value(name, "tokens_sent") or 0 for name in side.runs]
    shares = [side.value(name, "cached_prefix_share") or 0 for name in side.runs]
    assert sum(tokens) == side.total("tokens_sent")
    assert max(tokens) == side.largest("tokens_sent")
    weighted = sum(token * share for token, share in zip(tokens, shares, strict=True)) / sum(tokens)
    assert side.weighted("cached_prefix_share", "tokens_sent") == pytest.approx(weighted)
    assert side.statistic("no such figure") is None
