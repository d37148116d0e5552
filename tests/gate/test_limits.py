"""The language of limits: what each clause allows, and what cannot be meant."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.gate.limits import ANY, NO_WORSE, LimitError, default, parse
from looprig.metrics import METRICS

VALUES = st.integers(0, 10**9)
PERCENTS = st.decimals(0, 100, places=2, allow_nan=False).map(lambda number: f"{number:f}")


@pytest.mark.parametrize(
    ("text", "metric", "before", "held", "exceeded"),
    [
        ("max 12_000", "tokens_sent", None, 12_000, 12_001),
        ("min 0.8", "cached_prefix_share", None, 0.8, 0.7999),
        ("no worse", "tokens_sent", 100, 99, 101),
        ("no worse", "cached_prefix_share", 0.5, 0.6, 0.4999),
        ("+2 %", "tokens_sent", 100, 102, 103),
        ("+7 %", "tokens_sent", 300, 321, 322),
        ("+5", "requests", 100, 105, 106),
        ("-2 %", "cached_prefix_share", 0.5, 0.49, 0.4899),
        ("unchanged", "messages_said", 100, 100, 99),
        ("unchanged", "tokens_sent", 100, 100, 99),
        ("max 200, +50 %", "tokens_sent", 100, 150, 151),
        ("max 120, +50 %", "tokens_sent", 100, 120, 121),
        ("+ 5,-5", "messages_trimmed", 100, 95, 94),
        ("max 90000", "retained_bytes", None, 90_000, 90_001),
    ],
)
def test_edge(text: str, metric: str, before: float | None, held: float, exceeded: float):
    """
    A limit holds up to its edge and not beyond, to the last digit.
    """
    limit = parse(text, metric)

    assert limit.exceeded(METRICS[metric], before, held) is None
    told = limit.exceeded(METRICS[metric], before, exceeded)
    assert told is not None
    assert text in told


@pytest.mark.parametrize(
    ("text", "metric", "said"),
    [
        ("", "tokens_sent", "'' is no limit; write 'max N'"),
        ("max", "tokens_sent", "'max' is no limit"),
        ("max -3", "tokens_sent", "is no limit"),
        ("max 1e9", "tokens_sent", "is no limit"),
        ("better", "tokens_sent", "'better' is no limit"),
        ("max 3,", "tokens_sent", "'' is no limit"),
        ("-2 %", "tokens_sent", "better when it is lower: write '+'"),
        ("+2 %", "cached_prefix_share", "better when it is higher: write '-'"),
        ("no worse", "messages_trimmed", "neither direction of messages_trimmed is worse: write 'unchanged'"),
        ("max 90", "overhead_per_message_us", "is CPU time, of which one run decides nothing"),
        ("+2 %", "retained_bytes", "is not exact, so that one value beside another shows nothing; write 'max N'"),
    ],
)
def test_what_cannot_be_meant(text: str, metric: str, said: str):
    """
    What is no limit, limits a gain, or holds noise against noise is refused, with what to write instead.
    """
    with pytest.raises(LimitError) as error:
        parse(text, metric)

    assert said in str(error.value)


def test_default():
    """
    By default exact metrics with a better direction may not get worse, and all others are not judged.
    """
    assert default("tokens_sent") is NO_WORSE
    assert default("messages_said") is ANY
    assert default("overhead_per_message_us") is ANY


@given(before=VALUES, percent=PERCENTS, after=VALUES)
def test_allowance(before: int, percent: str, after: int):
    """
    An allowance is exact arithmetic on what was written, however large the values.
    """
    limit = parse(f"+{percent} %", "tokens_sent")

    exceeded = limit.exceeded(METRICS["tokens_sent"], before, after) is not None

    assert exceeded == (after * 10_000 > before * (10_000 + int(Fraction(percent) * 100)))


@given(before=VALUES, after=VALUES, percent=PERCENTS)
def test_order_of_clauses(before: int, after: int, percent: str):
    """
    All clauses must hold, in whatever order they are written.
    """
    texts = [f"+{percent} %", "max 500_000_000"]
    metric = METRICS["tokens_sent"]

    verdicts = {
        parse(", ".join(order), "tokens_sent").exceeded(metric, before, after) is not None
        for order in (texts, texts[::-1])
    }

    alone = [parse(text, "tokens_sent").exceeded(metric, before, after) is not None for text in texts]
    assert verdicts == {any(alone)}


@given(value=VALUES)
def test_no_change(value: int):
    """
    A metric that is as it was exceeds no limit that looks at the change.
    """
    for text in ("no worse", "+0", "+0 %", "unchanged"):
        assert parse(text, "tokens_sent").exceeded(METRICS["tokens_sent"], value, value) is None
