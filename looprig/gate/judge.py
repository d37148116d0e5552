"""Holds what was played against invariants, limits and the baseline: one check for each."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from looprig.compare import verdict
from looprig.gate import limits
from looprig.gate.baseline import Baseline, key_of
from looprig.gate.checks import Check, Played, Status
from looprig.gate.config import Config, Waiver
from looprig.invariants import RULES
from looprig.metrics import METRICS
from looprig.verdicts import Comparison, Layer, Verdict

COUNTED_IN_TOKENS = ("tokens_sent", "request_tokens_peak", "cached_prefix_share")
"""What depends on how tokens are counted: two counters are never compared."""


def checks_of(config: Config, played: Sequence[Played], baseline: Baseline | None) -> list[Check]:
    """Return the checks of all runs: the invariants, then the metrics that have a limit."""
    return [check for one in played for check in (*_invariants(one), *_metrics(config, one, baseline))]


def _invariants(one: Played) -> Iterator[Check]:
    outcome, replay = one.outcome, one.step.replay_command()
    for code, rule in RULES.items():
        name = f"{code} {rule.name}"
        if times := outcome.broken.get(code, 0):
            found = next((found for found in outcome.violations if found.code == code), None)
            because = found.because if found is not None else rule.sentence
            yield Check(one.label, name, Status.BROKEN, because, found=found, times=times, replay=replay)
        elif outcome.waived.get(code):
            yield Check(one.label, name, Status.WAIVED, "by the loop's contract", times=outcome.waived[code])
        elif outcome.judgements.get(code):
            yield Check(one.label, name, Status.PASSED)
        else:
            yield Check(one.label, name, Status.SKIPPED, "judged nothing in this run")


def _metrics(config: Config, one: Played, baseline: Baseline | None) -> Iterator[Check]:
    virtual = one.step.settings.clock == "virtual"
    outcome = one.outcome
    stored = None if baseline is None else baseline.values(key_of(outcome.scenario, outcome.seed, outcome.params))
    for metric in METRICS:
        limit, asked = config.limit(one.step.file.name, metric)
        before, unknown = _before(metric, stored, baseline, one)
        if limit.needs_baseline and not limits.exact(metric, virtual):
            before, unknown = None, "it is not exact on the real clock"
        after = outcome.metrics.get(metric)
        comparison = Comparison(
            one.label,
            metric,
            before,
            after,
            verdict(metric, before, after, virtual),
            unit=METRICS[metric].unit,
        )
        check = Check(one.label, metric, Status.PASSED, limit=limit.text, comparison=comparison, asked=asked)
        yield from _held(check, limit, unknown, baseline is not None)


def _before(
    metric: str, stored: Mapping[str, float] | None, baseline: Baseline | None, one: Played
) -> tuple[float | None, str]:
    """Return the baseline's value, or None and why there is none to compare with."""
    if baseline is None:
        return None, "there is no baseline"
    if stored is None:
        return None, f"{baseline.name} has no run of this scenario with this seed and these parameters"
    if metric in COUNTED_IN_TOKENS and baseline.tokens != one.step.settings.tokens:
        return None, f"{baseline.name} counted tokens by {baseline.tokens}, this run by {one.step.settings.tokens}"
    if metric not in stored:
        return None, f"{baseline.name} has no exact value of it"
    return stored[metric], ""


def _held(check: Check, limit: limits.Limit, unknown: str, based: bool) -> Iterator[Check]:
    """Yield the check of one metric, unless there is nothing to say of it."""
    comparison = check.comparison
    assert comparison is not None, "a check of a metric has its values"
    metric, before, after = METRICS[comparison.metric], comparison.before, comparison.after
    if not limit.judges:
        if comparison.verdict in (Verdict.CHANGED, Verdict.REGRESSED, Verdict.IMPROVED):
            yield replace(check, status=Status.SKIPPED, why="shown, not judged")
    elif after is None:
        if check.asked or before is not None:
            yield replace(check, status=Status.UNDECIDED, why="this run has no value of it")
    elif (why := limit.exceeded(metric, before, after)) is not None:
        yield replace(check, status=Status.EXCEEDED, why=why)
    elif limit.needs_baseline and before is None:
        if check.asked:
            yield replace(check, status=Status.UNDECIDED if based else Status.SKIPPED, why=unknown)
    else:
        yield check


def waived(
    config: Config, checks: Sequence[Check], scenarios: Mapping[str, str], today: datetime.date
) -> tuple[list[Check], list[str]]:
    """Return the checks with those waived that the configuration waives, and what is to be said of its waivers.

    ``scenarios`` maps the name that a scenario has in the reports to that of its file.
    """
    held = [waiver for waiver in config.waivers if waiver.until is None or waiver.until >= today]
    used: set[int] = set()
    found = []
    for check in checks:
        mine = next(
            (
                waiver
                for waiver in held
                if _is_for(waiver, check, scenarios.get(check.scenario, check.scenario.split()[0]))
            ),
            None,
        )
        if mine is not None and check.status in (Status.BROKEN, Status.EXCEEDED, Status.UNDECIDED):
            used.add(id(mine))
            found.append(replace(check, status=Status.WAIVED, why=f"{mine.reason} ({check.why})"))
        else:
            found.append(check)
    notes = [f"the waiver of {_of(waiver)} ended on {waiver.until}" for waiver in config.waivers if waiver not in held]
    notes += [f"the waiver of {_of(waiver)} waived nothing; take it out" for waiver in held if id(waiver) not in used]
    return found, notes


def _is_for(waiver: Waiver, check: Check, scenario: str) -> bool:
    if waiver.scenario is not None and waiver.scenario != scenario:
        return False
    name = check.name if check.comparison is not None else check.name.split()[0]
    return name == (waiver.metric or waiver.invariant)


def _of(waiver: Waiver) -> str:
    where = f" in {waiver.scenario}" if waiver.scenario is not None else ""
    return f"{waiver.metric or waiver.invariant}{where}"


def layers(checks: Sequence[Check]) -> set[Layer]:
    """Return the layers that judged something against a baseline."""
    return {
        check.comparison.layer
        for check in checks
        if check.comparison is not None and check.comparison.before is not None and check.status is not Status.SKIPPED
    }
