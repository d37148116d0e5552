"""What `looprig history` shows: how metrics went from run to run, and where they changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from looprig.report.figures import change, count, of_unit
from looprig.report.table import Column, Table, as_markdown, as_text
from looprig.store import Point, Run, Series
from looprig.store.salvage import Salvaged
from looprig.trends import Change, changes, exact_changes

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 24

LEAST = 0.1
"""A sparkline spans at least this share of the median, so that noise does not look like mountains."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A series with its changes."""

    series: Series
    changes: Sequence[Change]


def trend(series: Series) -> Trend:
    """Look for changes: every other value where the metric is exact, else `looprig.trends.changes`."""
    return Trend(series, exact_changes(series.values) if series.exact else changes(series.values))


def as_page(
    trends: Sequence[Trend],
    runs: Mapping[int, Run],
    *,
    everything: bool,
    markdown: bool = False,
    width: int | None = None,
) -> str:
    """Return the page: series (those that changed, or *everything*), their changes, and one line that counts."""
    changed = [each for each in trends if each.changes]
    shown = trends if everything else changed
    tables = [_series_table(shown), _changes_table(changed, runs)] if shown else []
    written = [as_markdown(table) if markdown else as_text(table, width) for table in tables if table.rows]
    return "\n\n".join([*written, _last_line(trends, changed, runs, everything)])


def _last_line(trends: Sequence[Trend], changed: Sequence[Trend], runs: Mapping[int, Run], everything: bool) -> str:
    same = len(trends) - len(changed)
    hint = "" if everything or not same else "; --all shows these too"
    return f"{count(len(runs), 'run')}, {len(trends)} series: {len(changed)} changed, {same} did not{hint}"


def _series_table(trends: Sequence[Trend]) -> Table:
    several = {(each.series.scenario, each.series.loop) for each in trends if _ambiguous(each.series, trends)}
    rows = []
    for each in trends:
        series = each.series
        scenario = (
            f"{series.scenario} ({series.setup})" if (series.scenario, series.loop) in several else series.scenario
        )
        rows.append(
            [
                scenario,
                series.loop,
                series.metric if series.exact else f"{series.metric} ~",
                f"{len(series.points):,}",
                sparkline(series.values),
                of_unit(series.values[-1], series.unit),
                change(each.changes[-1].before, each.changes[-1].after) if each.changes else "",
                _machine(series, trends),
            ]
        )
    columns = [
        Column("scenario"),
        Column("loop", drop=2),
        Column("metric"),
        Column("runs", "right"),
        Column("values", drop=1),
        Column("newest", "right"),
        Column("last change", "right"),
        Column("machine", drop=3),
    ]
    notes = ["~ noisy: compared on one kind of machine only, and a change shows after some seven runs"]
    return Table("history", columns, rows, notes if any(not each.series.exact for each in trends) else ())


def _ambiguous(series: Series, trends: Sequence[Trend]) -> bool:
    return any(
        (other.series.scenario, other.series.loop, other.series.metric) == (series.scenario, series.loop, series.metric)
        and other.series.setup != series.setup
        for other in trends
    )


def _machine(series: Series, trends: Sequence[Trend]) -> str:
    """Return the kind of machine where there are several."""
    kinds = {each.series.machine for each in trends if each.series.machine is not None}
    return series.machine or "" if len(kinds) > 1 else ""


def _changes_table(trends: Sequence[Trend], runs: Mapping[int, Run]) -> Table:
    found = [(each, found) for each in trends for found in each.changes]
    found.sort(key=lambda pair: pair[0].series.points[pair[1].index].run, reverse=True)
    rows = []
    for each, one in found:
        series = each.series
        point = series.points[one.index]
        rows.append(
            [
                point.at[:10],
                str(point.run),
                commits(series.points[one.index - 1], point),
                series.scenario,
                series.metric,
                of_unit(one.before, series.unit),
                of_unit(one.after, series.unit),
                change(one.before, one.after),
                "; ".join(also(runs, series.points[one.index - 1].run, point.run)),
            ]
        )
    columns = [
        Column("since"),
        Column("run", "right", 3),
        Column("commits"),
        Column("scenario"),
        Column("metric"),
        Column("before", "right", 2),
        Column("after", "right", 1),
        Column("change", "right"),
        Column("changed with it", drop=4),
    ]
    return Table("changes, newest first", columns, rows)


def commits(before: Point, after: Point) -> str:
    """Return what to give to ``git log`` to see what was committed between two points; + marks changed files."""
    names = [
        "?" if point.revision is None else f"{point.revision[:9]}{'+' if point.dirty else ''}"
        for point in (before, after)
    ]
    return names[0] if names[0] == names[1] else "..".join(names)


def also(runs: Mapping[int, Run], before: int, after: int) -> Iterator[str]:
    """Yield what else changed between two runs: versions of packages, and the kind of machine."""
    if before not in runs or after not in runs:
        return
    old, new = runs[before], runs[after]
    for name in sorted({*old.record.versions, *new.record.versions}):
        versions = [run.record.versions.get(name, "none") for run in (old, new)]
        if versions[0] != versions[1] and "none" not in versions:
            yield f"{name} {versions[0]} to {versions[1]}"
    if old.machine != new.machine:
        yield "another kind of machine"


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """Return *values* as a line of bars; beyond *width*, each bar is the median of its share of them."""
    if len(values) > width:
        edges = [len(values) * index // width for index in range(width + 1)]
        values = [median(values[start:end]) for start, end in pairwise(edges)]
    low, high = min(values), max(values)
    span = max(high - low, LEAST * abs(median(values)))
    if not span:
        return BARS[4] * len(values)
    base = (low + high - span) / 2
    return "".join(BARS[min(7, int((value - base) / span * 8))] for value in values)


def as_data(trends: Sequence[Trend], runs: Mapping[int, Run]) -> dict[str, Any]:
    """Return the trends as data: every point, every change."""
    return {"schema_version": 1, "runs": len(runs), "series": [_series_data(each, runs) for each in trends]}


def _series_data(each: Trend, runs: Mapping[int, Run]) -> dict[str, Any]:
    series = each.series
    points = [
        {"run": point.run, "at": point.at, "revision": point.revision, "dirty": point.dirty, "value": point.value}
        for point in series.points
    ]
    found = [
        {
            "at": points[one.index]["at"],
            "run": points[one.index]["run"],
            "revision": points[one.index]["revision"],
            "revision_before": points[one.index - 1]["revision"],
            "before": one.before,
            "after": one.after,
            "ratio": one.ratio,
            "p": one.p,
            "also": list(also(runs, series.points[one.index - 1].run, series.points[one.index].run)),
        }
        for one in each.changes
    ]
    return {
        "scenario": series.scenario,
        "loop": series.loop,
        "setup": series.setup,
        "metric": series.metric,
        "unit": series.unit,
        "exact": series.exact,
        "machine": series.machine,
        "points": points,
        "changes": found,
    }


def runs_table(runs: Sequence[Run]) -> Table:
    """Return the runs, newest first."""
    rows = [
        [
            str(run.id),
            run.record.at.replace("T", " ").removesuffix("Z"),
            run.record.kind,
            run.record.verdict,
            "?" if run.record.revision is None else f"{run.record.revision[:9]}{'+' if run.record.dirty else ''}",
            str(run.parts),
            run.record.command,
            run.machine,
        ]
        for run in reversed(runs)
    ]
    columns = [
        Column("run", "right"),
        Column("at (UTC)"),
        Column("kind"),
        Column("verdict"),
        Column("commit"),
        Column("parts", "right", 2),
        Column("command", drop=1),
        Column("machine", drop=3),
    ]
    return Table("runs, newest first", columns, rows, ["+ files differed from the commit"] if rows else ())


def runs_data(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the runs as data, oldest first, without their parts."""
    import msgspec

    return [{"run": run.id, "parts": run.parts, **_without_parts(msgspec.to_builtins(run.record))} for run in runs]


def _without_parts(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "parts"}


def salvaged(found: Salvaged, store: str) -> str:
    """Return in words what was salvaged."""
    if found.aside is None:
        return f"nothing is wrong with {store}: {count(len(found.kept), 'run')}"
    lost = f"; lost: {', '.join(map(str, found.lost))}, and what left no trace" if found.lost else ""
    return f"{count(len(found.kept), 'run')} kept in {store}{lost}; the damaged file is {found.aside}"
