"""What a comparison says: the layers that look, the verdicts, and one metric of one scenario on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """From best to worst news; ``changed`` is for metrics of which neither direction is better."""

    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    UNDECIDED = "undecided"
    REGRESSED = "regressed"


class Layer(StrEnum):
    """Who looks, in this order: the first two decide by one value, the others by a test with an error rate."""

    COUNTERS = "counters"
    INSTRUCTIONS = "instructions"
    CPU_TIME = "cpu-time"
    GROWTH = "growth"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one scenario on both sides; None where a side has no value.

    ``ratio`` is after by before, and ``interval`` holds it with the confidence that ``method`` names; a layer
    that decides by one value has neither. ``note`` says what a reader has to know, such as why it is undecided.
    """

    scenario: str
    metric: str
    before: float | None
    after: float | None
    verdict: Verdict
    layer: Layer = Layer.COUNTERS
    unit: str = ""
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    method: str = ""
    note: str = ""
