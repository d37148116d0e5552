"""Synthetic series, flat and with one step: how often is a change seen where none is, and how often is one missed?"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from looprig.trends import changes, exact_changes
from tests.perf.targets import Section, Target, report, table

LENGTH = 100
STEP = 0.05
NOISE = 0.03
NEAR = 3


def series(seed: int, step: float, noise: str = "normal", length: int = LENGTH) -> tuple[list[float], int]:
    """Return a series whose level rises by the share *step* somewhere in its middle half, and where."""
    rng = random.Random(f"{seed} {noise} {step} {length}")
    at = rng.randrange(length // 4, length - length // 4)
    values = []
    drift = 0.0
    for index in range(length):
        drift = 0.5 * drift + rng.gauss(0, NOISE * 0.75**0.5)
        shift = {
            "normal": rng.gauss(0, NOISE),
            "spikes": rng.gauss(0, NOISE) + (rng.random() < 0.1) * rng.uniform(0.2, 1.0),
            "neighbours alike": drift,
        }[noise]
        values.append(100 * (1 + step * (index >= at)) * (1 + shift))
    return values, at


def found(seeds: Sequence[int], step: float, noise: str = "normal", length: int = LENGTH) -> tuple[int, int, int]:
    """Return in how many series anything was found, the step was found nearly where it is, and something else."""
    anything = near = other = 0
    for seed in seeds:
        values, at = series(seed, step, noise, length)
        places = [change.index for change in changes(values)]
        hits = [place for place in places if step and abs(place - at) <= NEAR]
        anything += bool(places)
        near += bool(hits)
        other += len(places) > len(hits)
    return anything, near, other


def measure() -> Section:
    """The promise: fifty flat ones and fifty with a step; then the same more often, and with other noise."""
    started = time.process_time()
    false, _, _ = found(range(50), 0.0)
    _, near, _ = found(range(50), STEP)
    exact = [exact_changes([100.0] * 40 + [101.0] * count) for count in (1, 2, 40)]
    targets = [
        Target(f"flat series of {LENGTH} runs, 3 % noise: a change is seen", f"{false} of 50", "2", false <= 2),
        Target("one step of 5 % found, within 3 runs", f"{near} of 50", "45", near >= 45),
        Target(
            "an exact value that moves by 1 %, one run ago, two runs ago, forty runs ago: found at its place",
            f"{sum([change.index for change in each] == [40] for each in exact)} of 3", "3",
            all([change.index for change in each] == [40] for each in exact),
        ),
    ]  # fmt: skip
    rows = []
    for noise in ("normal", "spikes", "neighbours alike"):
        for length in (40, 100):
            flat = found(range(1000, 1100), 0.0, noise, length)
            five = found(range(1000, 1100), STEP, noise, length)
            ten = found(range(1000, 1100), 0.10, noise, length)
            rows.append([noise, length, *(f"{count} %" for count in (flat[0], five[0], five[1], ten[0], ten[1]))])
    headers = ["noise", "runs", "flat: seen", "5 %: seen", "5 %: in place", "10 %: seen", "10 %: in place"]
    about = (
        "100 further series of each kind. In place: within 3 runs. Spikes: one value in ten is 20 to 100 % too large. "
        "Neighbours alike: a run's noise is half that of the run before, which no permutation test allows for."
    )
    seconds = f"{time.process_time() - started:.0f} s of CPU."
    return Section(
        "Synthetic series", ".venv/bin/python -m tests.perf.trends", targets, [about, table(headers, rows), seconds]
    )


if __name__ == "__main__":
    report(
        "Change points",
        "`make trends` prints this: `.venv/bin/python -m tests.perf.trends`.",
        ["Everything here is drawn from fixed seeds, and repeats."],
        [measure],
    )
