"""Strategies for odd records."""

from __future__ import annotations

from hypothesis import strategies as st

from looprig.store import Part, RunRecord, Sample
from looprig.verdicts import Comparison, Layer, Verdict

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
