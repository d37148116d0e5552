"""How values read: one way for each unit, the same in every table."""

from __future__ import annotations

from looprig.metrics import METRICS


def figure(name: str, value: float | None) -> str:
    """Return the value of the metric *name* as people read it; a value that was not measured is a dash."""
    if value is None:
        return "-"
    return of_unit(value, METRICS[name].unit)


def of_unit(value: float, unit: str) -> str:
    """Return *value* with its unit, where a count's unit goes without saying."""
    match unit:
        case "s":
            return seconds(value)
        case "us":
            return f"{value:,.1f} us"
        case "ns":
            return f"{value:,.0f} ns"
        case "difference":
            return f"{value:+,.0f}"
        case "share":
            return f"{value * 100:.1f} %"
        case "ratio":
            return f"{value:.2f}"
        case "bytes":
            return f"{value / 1000:,.1f} kB"
        case _:
            return f"{value:,.0f}"


def seconds(value: float) -> str:
    """Return a duration in the unit that suits its size."""
    if 0 < value < 0.00001:
        return f"{value * 1e9:,.0f} ns"
    if value < 0.001:
        return f"{value * 1e6:.0f} us" if value else "0 s"
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:,.2f} s"


def change(before: float | None, after: float | None) -> str:
    """Return how *after* differs from *before*: in percent, as a factor where it is large, or ``same``."""
    if before is None or after is None:
        return "-"
    if before == after:
        return "same"
    if before <= 0 or after <= 0:
        return f"{after - before:+,.0f}" if abs(after - before) >= 1 else f"{after - before:+.3f}"
    ratio = after / before
    if ratio >= 2 or ratio <= 0.5:
        return f"{ratio:.1f} x" if ratio >= 2 else f"1/{1 / ratio:.1f}"
    return f"{(ratio - 1) * 100:+.1f} %"


def count(number: int, noun: str) -> str:
    """Return ``1 trim`` or ``2 trims``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
