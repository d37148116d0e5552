"""What is held against what: waivers and their ends, and baselines that cannot be compared."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace

import pytest

from looprig import content, suite, target
from looprig.gate.baseline import Baseline, of_outcomes
from looprig.gate.checks import Check, Played, Status
from looprig.gate.config import Config, Waiver
from looprig.gate.judge import checks_of, waived

TODAY = datetime.date(2026, 12, 1)
SETTINGS = suite.Settings(parameters={"turns": "3"})


@pytest.fixture(scope="module")
def played() -> Played:
    step = suite.Step(content.find_scenario("repeated_ids"), 1, target.find("reference"), SETTINGS)
    return Played("repeated_ids", step, step.run())


def baseline(played: Played, tokens: str = "estimate") -> Baseline:
    return replace(of_outcomes("main", [played.outcome], SETTINGS), tokens=tokens)


def statuses(checks: list[Check]) -> Mapping[str, Status]:
    return {check.name: check.status for check in checks}


@pytest.mark.parametrize(
    ("until", "scenario", "expected", "noted"),
    [
        (None, None, Status.WAIVED, None),
        (TODAY, None, Status.WAIVED, None),
        (TODAY - datetime.timedelta(days=1), None, Status.BROKEN, "the waiver of LR121 ended on 2026-11-30"),
        (None, "repeated_ids", Status.WAIVED, None),
        (None, "odd_text", Status.BROKEN, "the waiver of LR121 in odd_text waived nothing; take it out"),
    ],
)
def test_waiver(until: datetime.date | None, scenario: str | None, expected: Status, noted: str | None):
    """
    A waiver holds through its last day and for its scenario alone; one that ended or waives nothing is named.
    """
    waiver = Waiver(reason="issue 12", invariant="LR121", scenario=scenario, until=until)
    check = Check("repeated_ids turns=3", "LR121 no_result_without_its_call", Status.BROKEN, "torn")

    (after,), notes = waived(
        Config(loop="app:make", waivers=(waiver,)), [check], {"repeated_ids turns=3": "repeated_ids"}, TODAY
    )

    assert expected == after.status
    assert ([noted] if noted else []) == notes
    assert ("issue 12" in after.why) == (expected is Status.WAIVED)


def test_waiver_of_another(played: Played):
    """
    A waiver waives what it names and nothing else.
    """
    config = Config(loop="app:make", waivers=(Waiver(reason="x", metric="tokens_sent"),))
    check = Check("repeated_ids", "LR121 no_result_without_its_call", Status.BROKEN, "torn")

    (after,), _ = waived(config, [check], {}, TODAY)

    assert Status.BROKEN == after.status


def test_same_against_same(played: Played):
    """
    A loop beside itself exceeds nothing, whatever it costs.
    """
    checks = checks_of(Config(loop="app:make"), [played], baseline(played))

    assert {Status.PASSED, Status.SKIPPED} == set(statuses(checks).values())
    assert Status.PASSED == statuses(checks)["tokens_sent"]


def test_another_counter_of_tokens(played: Played):
    """
    Tokens that were counted otherwise are never compared: undecided where a limit asks for it, else not judged.
    """
    other = baseline(played, tokens="o200k")
    asked = Config(loop="app:make", limits={"tokens_sent": "+2 %"})

    (undecided,) = [check for check in checks_of(asked, [played], other) if check.status is Status.UNDECIDED]

    assert ("tokens_sent", "main counted tokens by o200k, this run by estimate") == (undecided.name, undecided.why)
    assert "tokens_sent" not in statuses(checks_of(Config(loop="app:make"), [played], other))
    assert "requests" in statuses(checks_of(Config(loop="app:make"), [played], other))


def test_limit_without_baseline(played: Played):
    """
    A limit on a value holds without a baseline; what it says of changes is then not judged.
    """
    config = Config(loop="app:make", limits={"requests": "max 1, no worse", "trims": "no worse"})

    found = statuses(checks_of(config, [played], None))

    assert (Status.EXCEEDED, Status.SKIPPED) == (found["requests"], found["trims"])
