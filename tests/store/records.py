"""Records to keep: a small one for a test, and strategies for odd ones."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from looprig.store import Part, RunRecord, Sample
from looprig.verdicts import Comparison, Layer, Verdict


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


texts = st.text(st.characters(), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.dictionaries(texts, st.integers(0, 2**53), max_size=3)

samples = st.builds(
    Sample,
    metric=texts,
    value=numbers,
    unit=texts,
    exact=st.booleans(),
    values=st.lists(numbers, max_size=4).map(tuple),
)
parts = st.builds(
    Part,
    scenario=texts,
    loop=texts,
    setup=texts,
    side=st.sampled_from(["", "before", "after"]),
    revision=st.none() | texts,
    seeds=st.lists(st.integers(0, 2**53), max_size=3).map(tuple),
    params=st.dictionaries(texts, st.booleans() | st.integers(-(2**53), 2**53) | numbers | texts, max_size=3),
    samples=st.lists(samples, max_size=3).map(tuple),
    judged=st.integers(0, 2**40),
    broken=counts,
    digests=st.lists(texts, max_size=2).map(tuple),
    error=st.none() | texts,
)
comparisons = st.builds(
    Comparison,
    scenario=texts,
    metric=texts,
    before=st.none() | st.floats(),
    after=st.none() | st.floats(),
    verdict=st.sampled_from(Verdict),
    layer=st.sampled_from(Layer),
    ratio=st.none() | st.floats(),
    interval=st.none() | st.tuples(st.floats(), st.floats()),
    note=texts,
)
odd_records = st.builds(
    RunRecord,
    kind=texts,
    at=texts,
    verdict=texts,
    command=texts,
    revision=st.none() | texts,
    dirty=st.none() | st.booleans(),
    machine=st.dictionaries(texts, st.integers(0, 2**31) | texts, max_size=3),
    versions=st.dictionaries(texts, texts, max_size=3),
    parts=st.lists(parts, max_size=3).map(tuple),
    comparisons=st.lists(comparisons, max_size=2).map(tuple),
    error=st.none() | texts,
)
