"""Shapes of load, as stages: sessions a second for an open loop, users for a closed one."""

from __future__ import annotations

from looprig.load.plan import Stage


def hold(level: float, duration_s: float) -> tuple[Stage, ...]:
    """The same all the time; with hours of it, a soak."""
    return (Stage(duration_s=duration_s, start=level, end=level),)


def ramp(start: float, end: float, duration_s: float) -> tuple[Stage, ...]:
    """Straight from one level to another."""
    return (Stage(duration_s=duration_s, start=start, end=end),)


def steps(first: float, step: float, count: int, each_s: float) -> tuple[Stage, ...]:
    """A staircase: *count* levels from *first*, each *step* above the one before, for *each_s* seconds."""
    return tuple(stage for number in range(count) for stage in hold(first + number * step, each_s))


def spike(base: float, peak: float, *, before_s: float, peak_s: float, after_s: float) -> tuple[Stage, ...]:
    """All at once up to *peak* and down again: does it recover?"""
    return (*hold(base, before_s), *hold(peak, peak_s), *hold(base, after_s))


def soak(level: float, duration_s: float, *, ramp_s: float = 60.0) -> tuple[Stage, ...]:
    """Up to *level* over *ramp_s*, and there for long: what grows, or runs full?"""
    return (*ramp(0.0, level, ramp_s), *hold(level, duration_s))
