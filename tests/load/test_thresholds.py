"""The language of thresholds: what it reads, what it refuses and where, and what it decides from how many samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.load.histogram import Histogram
from looprig.load.thresholds import (
    BUCKETS,
    METRICS,
    OF_ONE_TURN,
    OPERATORS,
    SCALARS,
    ThresholdError,
    judge,
    parse,
    parse_slo,
    shown,
)


@dataclass
class Given:
    """Readings that a test made."""

    histograms: dict[tuple[str, str | None], Histogram] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)

    def samples(self, metric: str, bucket: str | None) -> Histogram | None:
        return self.histograms.get((metric, bucket))

    def scalar(self, name: str) -> float | None:
        return self.scalars.get(name)


def of(values: Sequence[float], metric: str = "ttft", bucket: str | None = None) -> Given:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return Given({(metric, bucket): histogram})


@pytest.mark.parametrize(
    ("text", "metric", "bucket", "statistic", "operator", "limit"),
    [
        ("ttft.p95 < 800ms", "ttft", None, "p95", "<", 0.8),
        ("ttft{turn=10+}.p95 < 1.2s", "ttft", "10+", "p95", "<", 1.2),
        ("ttft{ turn = 2-4 } .p99.9<=900us", "ttft", "2-4", "p99.9", "<=", 0.0009),
        ("error_rate < 1%", "error_rate", None, None, "<", 0.01),
        ("error_rate<0.01", "error_rate", None, None, "<", 0.01),
        ("goodput > 5", "goodput", None, None, ">", 5),
        ("tokens_per_s >= 1_000.5/s", "tokens_per_s", None, None, ">=", 1000.5),
        ("gen.beat.p99 < 5ms", "gen.beat", None, "p99", "<", 0.005),
        ("  failed == 0 ", "failed", None, None, "==", 0),
        ("history_messages.max < 300", "history_messages", None, "max", "<", 300),
        ("trim_pause{turn=1}.mean < .5 ms", "trim_pause", "1", "mean", "<", 0.0005),
    ],
)
def test_reads(text: str, metric: str, bucket: str | None, statistic: str | None, operator: str, limit: float):
    """
    A rule is read into its parts, with a limit in seconds, shares or counts, whatever its unit was and however spaced.
    """
    rule = parse(text)

    assert (rule.metric, rule.bucket, rule.statistic, rule.operator) == (metric, bucket, statistic, operator)
    assert (rule.limit, rule.text) == (limit, text)


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "a rule begins with a metric; there are ttft, ttft_send, "),
        ("tftt.p95 < 800ms", 1, "there is no metric 'tftt'; did you mean 'ttft'?"),
        ("zzz < 1", 1, "there is no metric 'zzz'; there are ttft, "),
        ("gen.beet.p99 < 5ms", 1, "there is no metric 'gen.beet'; did you mean 'gen.beat'?"),
        ("ttft < 800ms", 6, "ttft has many values: say which, as in ttft.p95; there are pN, mean, min and max"),
        ("goodput.p95 > 5", 8, "goodput is one number: leave the statistic out"),
        ("ttft.p999x < 1s", 6, "'p999x' is no statistic; did you mean 'p99.9'?"),
        ("ttft.meen < 1s", 6, "'meen' is no statistic; did you mean 'mean'?"),
        ("ttft.zz < 1s", 6, "'zz' is no statistic; write p50, p95, p99.9, mean, min or max"),
        ("ttft. < 1s", 7, "'<' is no statistic"),
        ("ttft.p100 < 1s", 6, "p100 is no percentile: it lies between p0 and p100"),
        ("ttft.p0 < 1s", 6, "p0 is no percentile"),
        ("ttft.p95 800ms", 10, "here has to be one of <= >= == < >, not '800ms'"),
        ("ttft.p95", 9, "here has to be one of <= >= == < >, not 'the end'"),
        ("ttft.p95 <", 11, "here has to be a number, not 'the end'; ttft is a duration: write 800ms"),
        ("ttft.p95 < soon", 12, "here has to be a number, not 'soon'"),
        ("ttft.p95 < -5ms", 12, "here has to be a number, not '-5ms'"),
        ("ttft.p95 < 800", 15, "the unit is missing: ttft is a duration: write 800ms, 0.8s or 500us"),
        ("ttft.p95 < 800 sec", 16, "'sec' does not fit: ttft is a duration"),
        ("error_rate < 1ms", 15, "'ms' does not fit: error_rate is a share: write 1% or 0.01"),
        ("failed < 3%", 11, "'%' does not fit: failed is a count: write a number alone"),
        ("history_chars.max < 3kB", 22, "'kB' does not fit: history_chars is a length"),
        ("goodput > 5/min", 12, "'/min' does not fit: goodput is a rate per second"),
        ("ttft.p95 < 1s and goodput > 5", 15, "the rule is over here, and 'and' is too much"),
        ("ttft{turn=11}.p95 < 1s", 11, "'11' is no bucket of turns; there are 1, 2-4, 5-9, 10+"),
        ("ttft{round=1}.p95 < 1s", 6, "in braces stands turn=BUCKET, not 'round'"),
        ("ttft{turn 1}.p95 < 1s", 11, "here has to be =, as in {turn=10+}"),
        ("ttft{turn=1.p95 < 1s", 11, "'1.p95' is no bucket of turns"),
        ("ttft{turn=1 .p95 < 1s", 13, "here has to be }"),
        ("gen.beat{turn=1}.p99 < 5ms", 9, "gen.beat is not told by turn: leave the braces out"),
        ("goodput{turn=1} > 5", 8, "goodput is not told by turn"),
    ],
)
def test_refuses(text: str, column: int, said: str):
    """
    What is no rule is refused with the column, what is wrong there, and what is known.
    """
    with pytest.raises(ThresholdError) as caught:
        parse(text)

    assert str(caught.value).startswith(f"{text!r}, column {column}: {said}")


@given(st.text(alphabet="tfe.p95<>={}turn10+ ms%_ gen\t", max_size=30) | st.text(max_size=12))
def test_any_text(text: str):
    """
    Whatever is typed is read or refused with a column inside the text or at its end.
    """
    try:
        parse(text)
    except ThresholdError as error:
        column = int(str(error).removeprefix(f"{text!r}, column ").partition(":")[0])
        assert 1 <= column <= len(text) + 1


@st.composite
def rules(draw: st.DrawFn) -> tuple[str, str, float]:
    """A rule's text, with spaces where they may be; its metric; and its limit in the metric's unit."""
    metric = draw(st.sampled_from([*METRICS, *SCALARS]))
    kind = {**METRICS, **SCALARS}[metric]
    spaces = st.sampled_from(["", " ", "  "])
    number = draw(st.integers(0, 10**6))
    unit, factor = draw(
        st.sampled_from(
            {
                "duration": [("ms", 1e-3), ("s", 1.0), ("us", 1e-6)],
                "share": [("%", 1e-2), ("", 1.0)],
                "rate": [("", 1.0), ("/s", 1.0)],
            }.get(kind, [("", 1.0)])
        )
    )
    bucket = draw(st.sampled_from(BUCKETS)) if metric in METRICS and not metric.startswith("gen.") else ""
    braces = f"{{turn={bucket}}}" if bucket else ""
    statistic = "." + draw(st.sampled_from(["p50", "p99.9", "mean", "max"])) if metric in METRICS else ""
    operator = draw(st.sampled_from(OPERATORS))
    text = f"{metric}{braces}{statistic}{draw(spaces)}{operator}{draw(spaces)}{number}{draw(spaces)}{unit}"
    return text, metric, number * factor


@given(rules())
def test_every_rule_of_the_grammar(made: tuple[str, str, float]):
    """
    What the grammar makes is read, and means what it was made from.
    """
    text, metric, limit = made
    rule = parse(text)

    assert rule.metric == metric
    assert rule.limit == pytest.approx(limit)


def test_no_data():
    """
    A rule without data is missed and says so: a threshold that judges nothing must not look green.
    """
    for text in ("ttft.p50 < 1s", "ttft{turn=10+}.p50 < 1s", "goodput > 0"):
        judged = judge(parse(text), Given())
        assert ("no data", None) == (judged.verdict, judged.value)
        assert "a rule without data is missed" in judged.because
    assert "in turns 10+" in judge(parse("ttft{turn=10+}.p50 < 1s"), of([0.1] * 50)).because


@pytest.mark.parametrize(("statistic", "needed"), [("p50", 10), ("p90", 50), ("p95", 100), ("p99", 500), ("p5", 100)])
def test_samples_that_it_takes(statistic: str, needed: int):
    """
    A percentile is met with five samples beyond it, to the sample: 500 for p99; with one less n is too small.
    """
    rule = parse(f"ttft.{statistic} < 1s")

    assert "met" == judge(rule, of([0.5] * needed)).verdict
    short = judge(rule, of([0.5] * (needed - 1)))
    assert "too few" == short.verdict
    assert f"n too small: {needed - 1} samples, and {statistic} needs {needed}" in short.because


def test_samples_of_the_far_tail():
    """
    p99.9 takes 5,000; mean and max take one.
    """
    assert (5000, 1, 1) == tuple(parse(f"ttft.{name} < 1s").samples_needed for name in ("p99.9", "mean", "max"))
    assert "met" == judge(parse("ttft.max < 1s"), of([0.5])).verdict


def test_few_samples_that_show_enough():
    """
    Three turns of three above the limit of p95 leave no doubt (0.05^3 < 0.001); two do, and one kept among three does.
    """
    rule = parse("ttft.p95 < 100ms")

    assert "missed" == judge(rule, of([0.4] * 3)).verdict
    assert "too few" == judge(rule, of([0.4] * 2)).verdict
    assert "too few" == judge(rule, of([0.05, 0.4, 0.4])).verdict
    # The other direction: at least five in a hundred are to be below.
    assert "missed" == judge(parse("ttft.p5 > 1s"), of([0.4] * 3)).verdict


@given(seed=st.integers(0, 10**6), n=st.integers(1, 99))
def test_few_samples_are_never_a_pass(seed: int, n: int):
    """
    With fewer samples than it takes, a rule is undecided or missed, and never met, whatever was measured.
    """
    random = Random(seed)
    values = [random.lognormvariate(-1, 1) for _ in range(n)]

    assert judge(parse("ttft.p95 < 400ms"), of(values)).verdict in ("too few", "missed")


def test_few_samples_wrong_how_often():
    """
    Where the limit is the very p95, small samples call it missed in less than 1 in 200 cases: 1 in 1,000 is promised.
    """
    random = Random(5)
    rule = parse("ttft.p95 < 950ms")
    wrong = sum(
        judge(rule, of([random.random() for _ in range(random.randint(3, 99))])).verdict == "missed"
        for _ in range(4000)
    )

    assert wrong < 20


@given(
    values=st.lists(st.floats(0.001, 100), min_size=100, max_size=150),
    limit=st.integers(1, 100_000),
    operator=st.sampled_from(["<", "<=", ">", ">="]),
)
def test_verdict_is_that_of_the_samples(values: list[float], limit: int, operator: str):
    """
    With enough samples a rule is met exactly where the percentile of the raw values keeps the limit, but for the one
    percent that a histogram's quantile may be off.
    """
    exact = sorted(values)[-(-95 * len(values) // 100) - 1]
    rule = parse(f"ttft.p95 {operator} {limit}ms")

    if abs(exact - rule.limit) > 0.011 * exact:
        assert judge(rule, of(values)).verdict == ("met" if rule.kept(exact) else "missed")


def test_scalars():
    """
    A scalar is met or missed by its value; what was missed is said in the unit that people use.
    """
    readings = Given(scalars={"error_rate": 0.025, "goodput": 5.0})

    assert "met" == judge(parse("goodput >= 5"), readings).verdict
    missed = judge(parse("error_rate < 1%"), readings)
    assert ("missed", "2.5 % is not < 1 %") == (missed.verdict, missed.because)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.0123456, "duration", "12.35 ms"),
        (1.5, "duration", "1.500 s"),
        (0.5, "share", "50 %"),
        (12.0, "rate", "12/s"),
        (1234.0, "count", "1,234"),
        (1234.5, "length", "1,234"),
        (None, "share", "-"),
    ],
)
def test_shown(value: float | None, kind: str, text: str):
    """
    Values read in the unit that suits them.
    """
    assert shown(value, kind) == text  # type: ignore[arg-type]


def test_slo():
    """
    A limit of one turn is read into seconds.
    """
    assert parse_slo("ttft=800ms") == ("ttft", 0.8)
    assert parse_slo("tpot = 0.05s") == ("tpot", 0.05)
    assert all(parse_slo(f"{name}=1s") == (name, 1.0) for name in OF_ONE_TURN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ttft", "column 5: here has to be =, as in ttft=800ms"),
        ("ttft=800", "column 9: the unit is missing"),
        ("tfft=8s", "column 1: there is no metric 'tfft'; did you mean 'ttft'?"),
        ("goodput=5", "column 1: goodput is no duration of one turn; there are ttft, "),
        ("icl=50ms", "column 1: icl is no duration of one turn"),
        ("ttft=0ms", "column 1: no turn keeps a limit of 0"),
        ("ttft=8s tpot=1s", "'tpot=1s' is too much; give further limits one by one"),
    ],
)
def test_bad_slo(text: str, said: str):
    """
    What is no limit of one turn is refused with its column.
    """
    with pytest.raises(ThresholdError) as caught:
        parse_slo(text)

    assert said in str(caught.value)
