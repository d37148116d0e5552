"""What changed between two conformance runs: versions, cells, and what an agent breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from looprig.conformance.data import AgentResult, Cell, Results, TrimmerResult

POINTS = 1.0
"""Cells that differ by less than so many percent points are the same: the histories may have changed a little."""


class Change(msgspec.Struct, frozen=True):
    """One change: of what, in which respect, and what it was and is."""

    what: str
    which: str
    before: str
    after: str


def versions(results: Results) -> Mapping[str, str]:
    """Return the versions of all packages in *results*; where there are several of one, all of them."""
    found: dict[str, set[str]] = {}
    tested = [each.packages for each in results.trimmers] + [each.packages for each in results.agents]
    for packages in tested:
        for package, version in packages.items():
            found.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(every)) for package, every in sorted(found.items())}


def changes(before: Results, after: Results) -> Sequence[Change]:
    """Return what changed from *before* to *after*, in the order: versions, trimmers, agents."""
    return [
        *_of_versions(versions(before), versions(after)),
        *_of_trimmers({each.key: each for each in before.trimmers}, {each.key: each for each in after.trimmers}),
        *_of_agents({each.loop: each for each in before.agents}, {each.loop: each for each in after.agents}),
    ]


def _of_versions(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for package in sorted({*before, *after}):
        was, now = before.get(package, "not there"), after.get(package, "not there")
        if was != now:
            yield Change(package, "version", was, now)


def _of_trimmers(before: Mapping[str, TrimmerResult], after: Mapping[str, TrimmerResult]) -> Iterator[Change]:
    for key in {**before, **after}:
        if key not in before or key not in after:
            was, now = ("not tested", "tested") if key in after else ("tested", "not tested")
            yield Change(key, "trimmer", was, now)
            continue
        old, new = before[key], after[key]
        if old.failed != new.failed:
            yield Change(key, "trimmer", old.failed or "ran", new.failed or "ran")
        for code in sorted({*old.cells, *new.cells}):
            was, now = cell_text(old.cells.get(code)), cell_text(new.cells.get(code))
            if was != now and not _close(old.cells.get(code), new.cells.get(code)):
                yield Change(key, code, was, now)


def _close(before: Cell | None, after: Cell | None) -> bool:
    """Whether two cells are both broken, by nearly the same share."""
    if before is None or after is None or not before.broken or not after.broken:
        return False
    return abs(before.share - after.share) * 100 < POINTS


def cell_text(cell: Cell | None) -> str:
    """Return a cell as people read it: ``ok``, ``n/a``, or the percentage of the runs that break the rule."""
    if cell is None or not cell.applied:
        return "n/a"
    if not cell.broken:
        return "ok"
    percent = cell.share * 100
    return "<1" if percent < 1 else f"{percent:.0f}"


def _of_agents(before: Mapping[str, AgentResult], after: Mapping[str, AgentResult]) -> Iterator[Change]:
    for name in {**before, **after}:
        if name not in before or name not in after:
            was, now = ("not tested", "tested") if name in after else ("tested", "not tested")
            yield Change(f"{name} agent", "agent", was, now)
            continue
        old = {played.scenario: played for played in before[name].scenarios}
        new = {played.scenario: played for played in after[name].scenarios}
        for scenario in {**old, **new}:
            was = broken_text(old[scenario].broken) if scenario in old else "not played"
            now = broken_text(new[scenario].broken) if scenario in new else "not played"
            if was != now:
                yield Change(f"{name} agent", scenario, was, now)


def broken_text(broken: Mapping[str, int]) -> str:
    """Return what is broken and how often: ``LR101 3, LR121 1``, or ``ok``."""
    return ", ".join(f"{code} {times:,}" for code, times in sorted(broken.items())) or "ok"
