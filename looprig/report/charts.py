"""Charts as inline SVG: lines over time, and percentiles side by side. Plain functions from numbers to markup."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from looprig.report.html import escaped

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 30

_COLOURS = ("var(--one)", "var(--two)", "var(--three)", "var(--four)")
POINTS_MOST = 600
"""More values than this are drawn as means of neighbours: a soak of a day has 86,400 seconds."""


def lines(title: str, across: str, series: Mapping[str, Sequence[float]]) -> str:
    """Return lines over a common axis of 0, 1, 2 …, described by *across*; an empty text where there is nothing."""
    length = max((len(values) for values in series.values()), default=0)
    if length < 2:
        return ""
    size = math.ceil(length / POINTS_MOST)
    top = _round_up(max(max(_thinned(values, size), default=0.0) for values in series.values()))
    x = _scale(length - 1, LEFT, WIDTH - RIGHT)
    y = _scale(top, HEIGHT - BOTTOM, TOP)
    drawn = []
    for number, (name, values) in enumerate(series.items()):
        points = " ".join(
            f"{x(min(index * size + (size - 1) / 2, length - 1)):.1f},{y(value):.1f}"
            for index, value in enumerate(_thinned(values, size))
        )
        colour = _COLOURS[number % len(_COLOURS)]
        drawn.append(
            f'<polyline class="line" stroke="{colour}" points="{points}"><title>{escaped(name)}</title></polyline>'
        )
    ticks = [
        f'<text x="{x(at):.1f}" y="{HEIGHT - 10}" text-anchor="middle">{at:g}</text>' for at in _ticks(length - 1, 6)
    ]
    return _figure(title, [*_grid(top, y), *ticks, *drawn, *_legend(list(series)), _across(across)])


def percentiles(title: str, unit: str, rows: Mapping[str, Mapping[str, float | None]]) -> str:
    """Return for each row a bar from its first percentile to its last that is known, with a mark at each of them."""
    known = {name: {key: value for key, value in row.items() if value is not None} for name, row in rows.items()}
    known = {name: row for name, row in known.items() if row}
    if not known:
        return ""
    names = list(dict.fromkeys(key for row in rows.values() for key in row))
    top = _round_up(max(value for row in known.values() for value in row.values()))
    y = _scale(top, HEIGHT - BOTTOM, TOP)
    step = (WIDTH - LEFT - RIGHT) / len(known)
    drawn = []
    for number, (name, row) in enumerate(known.items()):
        centre = LEFT + step * (number + 0.5)
        ends = [y(value) for value in row.values()]
        drawn.append(
            f'<line x1="{centre:.1f}" x2="{centre:.1f}" y1="{ends[0]:.1f}" y2="{ends[-1]:.1f}" stroke="var(--soft)"/>'
        )
        for key, value in row.items():
            colour = _COLOURS[names.index(key) % len(_COLOURS)]
            drawn.append(
                f'<circle cx="{centre:.1f}" cy="{y(value):.1f}" r="5" fill="{colour}">'
                f"<title>{escaped(f'{name} {key}: {value:.4g} {unit}')}</title></circle>"
            )
        drawn.append(f'<text x="{centre:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{escaped(name)}</text>')
    return _figure(f"{title}, {unit}", [*_grid(top, y), *drawn, *_legend(names)])


def _figure(title: str, parts: Sequence[str]) -> str:
    inside = "\n".join(part for part in parts if part)
    return (
        f"<section><h2>{escaped(title)}</h2>\n"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escaped(title)}">\n{inside}\n</svg></section>'
    )


def _grid(top: float, y: Callable[[float], float]) -> list[str]:
    return [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(at):.1f}" y2="{y(at):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y(at) + 4:.1f}" text-anchor="end">{at:g}</text>'
        for at in _ticks(top, 4)
    ]


def _legend(names: Sequence[str]) -> list[str]:
    made = []
    for number, name in enumerate(names):
        x = LEFT + number * 120
        made.append(
            f'<rect x="{x}" y="8" width="12" height="12" fill="{_COLOURS[number % len(_COLOURS)]}"/>'
            f'<text x="{x + 18}" y="18">{escaped(name)}</text>'
        )
    return made


def _across(text: str) -> str:
    return f'<text x="{WIDTH - RIGHT}" y="{TOP - 8}" text-anchor="end">{escaped(text)}</text>'


def _thinned(values: Sequence[float], size: int) -> list[float]:
    """Return the means of *size* neighbours each."""
    parts = [values[at : at + size] for at in range(0, len(values), size)]
    return [sum(part) / len(part) for part in parts]


def _scale(most: float, start: float, end: float) -> Callable[[float], float]:
    """Return the straight line from 0..most to start..end."""
    return lambda value: start + (end - start) * (value / most if most else 0.0)


def _round_up(value: float) -> float:
    """Return the least of 1, 2, 5 times a power of ten that is not below *value*; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-12))


def _ticks(most: float, number: int) -> list[float]:
    """Return some *number* round values from 0 to *most*."""
    step = _round_up(most / number)
    return [step * at for at in range(math.floor(most / step + 1e-9) + 1)]
