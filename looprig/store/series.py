"""How one metric went from run to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from looprig.store.record import Part, RunRecord


@dataclass(frozen=True, slots=True)
class Point:
    """A metric's value in one run, with the run's number, time, revision, and whether files differed from it."""

    run: int
    at: str
    revision: str | None
    dirty: bool | None
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one metric, oldest first; all with one setup, and with one kind of machine where it is not exact.

    ``machine`` is None for an exact metric, which is the same everywhere.
    """

    scenario: str
    loop: str
    setup: str
    metric: str
    unit: str
    exact: bool
    machine: str | None
    points: Sequence[Point]

    @property
    def values(self) -> list[float]:
        """The values alone."""
        return [point.value for point in self.points]


Key = tuple[str, str, str, str, str, bool, str | None]


def series_of(
    runs: Mapping[int, tuple[RunRecord, str]], parts: Sequence[tuple[int, Part]], metric: str | None = None
) -> list[Series]:
    """Sort the parts' samples into series, by scenario, loop and setup, then in the order of the metrics.

    A part of another revision than its run's is left out: it would stand at the wrong time. Where a run has a
    metric twice, as in a comparison of a loop with itself, the later one counts.
    """
    found: dict[Key, dict[int, Point]] = {}
    for number, part in parts:
        if number not in runs:
            continue
        run, machine = runs[number]
        if part.revision not in (None, run.revision):
            continue
        for sample in part.samples:
            if metric in (None, sample.metric):
                on = None if sample.exact else machine
                key = (part.scenario, part.loop, part.setup, sample.metric, sample.unit, sample.exact, on)
                point = Point(number, run.at, run.revision, run.dirty, sample.value)
                found.setdefault(key, {})[number] = point
    made = [Series(*key, points=sorted(points.values(), key=_by_time)) for key, points in found.items()]
    return sorted(made, key=lambda each: (each.scenario, each.loop, each.setup))


def _by_time(point: Point) -> tuple[str, int]:
    return point.at, point.run  # a run of an earlier day may have been imported later
