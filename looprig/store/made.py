"""What commands find, as records for the store."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median

from looprig.compare import Compared, Side
from looprig.metrics import METRICS, VIRTUAL_TIME
from looprig.runner import Outcome
from looprig.store import origin
from looprig.store.record import Part, RunRecord, Sample, setup_of
from looprig.suite import Settings, Step, machine
from looprig.verdicts import Comparison
from looprig.version import __version__


def of_run(
    done: Sequence[tuple[Step, Outcome]], settings: Settings, verdict: str, error: str | None = None
) -> RunRecord:
    """Return what `looprig run` found: a part for each scenario, with the values of its seeds."""
    scenarios: dict[str, list[Outcome]] = {}
    for _, outcome in done:
        scenarios.setdefault(outcome.scenario, []).append(outcome)
    parts = [part(outcomes, settings) for outcomes in scenarios.values()]
    return record("run", verdict, settings, parts, error=error)


def of_compare(compared: Compared, comparisons: Iterable[Comparison], verdict: str) -> RunRecord:
    """Return what `looprig compare` found: a part for each scenario and side, with the values of its rounds."""
    sides: Mapping[str, Side] = {"before": compared.before, "after": compared.after}
    parts = [
        part(outcomes, compared.settings, side=name)
        for name, side in sides.items()
        for outcomes in side.runs.values()
        if outcomes
    ]
    return record("compare", verdict, compared.settings, parts, comparisons)


def record(
    kind: str,
    verdict: str,
    settings: Settings,
    parts: Iterable[Part],
    comparisons: Iterable[Comparison] = (),
    error: str | None = None,
    folder: Path | None = None,
) -> RunRecord:
    """Return a record of now and here: *folder* is the one whose git revision is meant, by default the current one."""
    checked_out = origin.revision(folder or Path.cwd())
    return RunRecord(
        kind=kind,
        at=origin.now(),
        verdict=verdict,
        command=origin.command(["looprig", *sys.argv[1:]]),
        looprig=__version__,
        revision=checked_out.commit,
        dirty=checked_out.dirty,
        machine=machine(),
        versions=origin.versions(),
        clock=settings.clock,
        tokens=settings.tokens,
        parts=tuple(parts),
        comparisons=tuple(comparisons),
        error=error,
    )


def part(outcomes: Sequence[Outcome], settings: Settings, side: str = "", revision: str | None = None) -> Part:
    """Return a part of runs of one scenario with one loop: of several seeds, or of one seed several times."""
    first = outcomes[0]
    seeds = tuple(dict.fromkeys(outcome.seed for outcome in outcomes))
    return Part(
        scenario=first.scenario,
        loop=first.loop,
        setup=setup_of(first.params, seeds, settings.clock, settings.tokens),
        side=side,
        revision=revision,
        seeds=seeds,
        params=dict(first.params),
        samples=tuple(_samples(outcomes, settings.clock == "virtual")),
        judged=sum(sum(outcome.judgements.values()) for outcome in outcomes),
        broken=_total(outcome.broken for outcome in outcomes),
        digests=tuple(outcome.digest for outcome in outcomes),
        error=next((outcome.unusable for outcome in outcomes if outcome.unusable), None),
    )


def _samples(outcomes: Sequence[Outcome], virtual: bool) -> Iterable[Sample]:
    """Yield each metric's raw values, and the one that stands for them: the mean where it is exact, else the median."""
    for name, metric in METRICS.items():
        values = tuple(float(outcome.metrics[name]) for outcome in outcomes if name in outcome.metrics)
        if values:
            exact = metric.exact and (virtual or name not in VIRTUAL_TIME)
            value = fmean(values) if exact else median(values)
            raw = values if len(values) > 1 else ()
            yield Sample(metric=name, value=value, unit=metric.unit, exact=exact, values=raw)


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for code, number in each.items():
            total[code] = total.get(code, 0) + number
    return total
