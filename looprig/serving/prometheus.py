"""The text format of Prometheus."""

from __future__ import annotations

from collections.abc import Mapping


def family(lines: list[str], name: str, kind: str, help_: str, values: Mapping[str, float]) -> None:
    """Add the metric ``looprig_NAME`` of a kind (counter, gauge) to *lines*: a value for each set of labels.

    Labels are written as they stand in the format, ``code="LR121"``; no labels are the empty text.
    """
    lines += [f"# HELP looprig_{name} {help_}", f"# TYPE looprig_{name} {kind}"]
    lines += [
        f"looprig_{name}{{{labels}}} {value}" if labels else f"looprig_{name} {value}"
        for labels, value in values.items()
    ]
