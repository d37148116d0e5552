"""A record that a number decides: what a test saves, and knows again."""

from __future__ import annotations

import random

from looprig.store import Part, RunRecord, Sample


def record(number: int = 1, *, parts: int = 3, metrics: int = 4, **given: object) -> RunRecord:
    """Return a record that *number* alone decides."""
    rng = random.Random(number)
    facts = {
        "kind": "run",
        "at": f"2026-01-{1 + number % 28:02}T00:00:{number % 60:02}Z",
        "verdict": "passed",
        "command": f"looprig run --seed {number}",
        "revision": f"{number:040x}",
        "dirty": bool(number % 2),
        "machine": {"python": "3.11.7", "implementation": "CPython", "system": "Linux", "cores": 2},
        "versions": {"looprig": "0.1.0", "faker": "40.1.0"},
    }
    made = tuple(
        Part(
            scenario=f"scenario_{index}",
            loop="reference",
            setup="seed 1",
            seeds=(1,),
            params={"turns": 10},
            samples=tuple(
                Sample(metric=f"metric_{each}", value=rng.random(), unit="us", values=(rng.random(), rng.random()))
                for each in range(metrics)
            ),
            judged=12,
            digests=(f"{rng.getrandbits(64):016x}",),
        )
        for index in range(parts)
    )
    return RunRecord(**{**facts, "parts": made, **given})  # type: ignore[arg-type]
