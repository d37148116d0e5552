"""Arrivals come at the rate that was asked for, the same in every process, and traces are read or refused."""

from __future__ import annotations

import math
import statistics
import tracemalloc
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.load.arrivals import TraceError, arrivals, cumulative, level, schedule, share, trace
from looprig.load.plan import Arrivals, Plan, Stage
from looprig.load.stages import hold, ramp, soak, spike, steps

values = st.one_of(st.just(0.0), st.floats(0.1, 50.0))
stages = st.lists(
    st.builds(Stage, duration_s=st.floats(0.1, 20.0), start=values, end=values), min_size=1, max_size=5
).map(tuple)
kinds = st.builds(
    Arrivals, kind=st.sampled_from(["poisson", "gamma", "constant"]), shape=st.sampled_from([0.1, 0.7, 4.0])
)


@given(stages, kinds, st.integers(0, 2**40))
def test_arrivals_rise_and_keep_to_the_stages(stages, kind, seed):
    """
    Times rise, lie within the stages, and are the same when they are drawn again.
    """
    times = list(arrivals(stages, kind, seed))

    assert times == sorted(times)
    assert all(0 <= at_s <= sum(stage.duration_s for stage in stages) * (1 + 1e-12) for at_s in times)
    assert times == list(arrivals(stages, kind, seed))


@given(stages, kinds, st.integers(0, 1000))
def test_the_rate_only_moves_arrivals(stages, kind, seed):
    """
    Measured in expected arrivals instead of seconds, a schedule over any stages is the one of rate 1.
    """
    times = list(arrivals(stages, kind, seed))
    unit = list(islice(arrivals(hold(1.0, 2000.0), kind, seed), len(times)))

    assert [cumulative(stages, at_s) for at_s in times] == pytest.approx(unit, rel=1e-6, abs=1e-6)


@given(stages, kinds, st.integers(0, 1000), st.integers(1, 7))
def test_processes_make_together_what_one_makes(stages, kind, seed, workers):
    """
    Cut over any number of workers, every arrival is made exactly once, and keeps its number.
    """
    whole = list(enumerate(arrivals(stages, kind, seed)))

    parts = [list(share(arrivals(stages, kind, seed), index, workers)) for index in range(workers)]

    assert whole == sorted(pair for part in parts for pair in part)


@given(stages)
def test_constant_arrivals_are_as_many_as_the_area(stages):
    """
    Constant arrivals are as many as the area below the stages, rounded.
    """
    area = cumulative(stages, math.inf)

    assert abs(len(list(arrivals(stages, Arrivals(kind="constant"), 1))) - area) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("kind", "cv"),
    [
        (Arrivals(), 1.0),
        (Arrivals(kind="gamma", shape=0.25), 2.0),
        (Arrivals(kind="gamma", shape=4.0), 0.5),
        (Arrivals(kind="constant"), 0.0),
    ],
)
def test_gaps_vary_as_asked(kind, cv):
    """
    Mean and coefficient of variation of the gaps are those of the kind, within five standard errors or so.
    """
    times = list(arrivals(hold(100.0, 1000.0), kind, 7))
    gaps = [after - before for before, after in pairwise(times)]
    mean = statistics.fmean(gaps)

    assert mean == pytest.approx(0.01, rel=0.04)
    assert statistics.pstdev(gaps) / mean == pytest.approx(cv, rel=0.1, abs=1e-6)


def test_bursts_do_not_make_more_of_the_first_second():
    """
    A bursty process that is taken up in the middle has, over many seeds, the number of arrivals that its rate says;
    one that began with a whole gap would have four and a half more in each run.
    """
    kind = Arrivals(kind="gamma", shape=0.1)
    counts = [len(list(arrivals(hold(10.0, 5.0), kind, seed))) for seed in range(400)]

    error = statistics.pstdev(counts) / math.sqrt(len(counts))
    assert abs(statistics.fmean(counts) - 50) < 4 * error
    assert error < 1.2


def test_a_ramp_has_its_arrivals_where_the_rate_is():
    """
    Of a ramp from nothing, three quarters of the arrivals come in the second half.
    """
    times = list(arrivals(ramp(0.0, 100.0, 10.0), Arrivals(kind="constant"), 1))

    assert 500 == len(times)
    assert 375 == pytest.approx(sum(at_s > 5 for at_s in times), abs=1)


def test_endless_schedules_take_no_memory():
    """
    The first of a billion arrivals are there at once, and the others are not held.
    """
    tracemalloc.start()
    times = list(islice(arrivals(hold(1e6, 1e3), Arrivals(), 1), 1000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 1000 == len(times)
    assert peak < 500_000


def test_level():
    """
    The level goes straight through each stage, and is 0 after the last.
    """
    shape = (*ramp(0.0, 10.0, 10.0), *hold(4.0, 5.0))

    assert [0, 5, 4, 4, 0] == [level(shape, at_s) for at_s in (0, 5, 10, 14.9, 15)]


def test_shapes():
    """
    Stairs, a spike and a soak are the stages that one would write by hand.
    """
    assert [1, 3, 5] == [stage.start for stage in steps(1, 2, 3, 10)]
    assert [2, 20, 2] == [stage.end for stage in spike(2, 20, before_s=5, peak_s=1, after_s=5)]
    assert [(0, 8, 60), (8, 8, 3600)] == [(s.start, s.end, s.duration_s) for s in soak(8, 3600)]


# Traces


def test_own_trace(tmp_path: Path):
    """
    Our own form is seconds as they are; more keys and empty lines do no harm, and the plan's scale stretches it.
    """
    path = tmp_path / "trace.jsonl"
    path.write_text('{"at_s": 1}\n\n{"at_s": 1.5, "user": "x"}\n{"at_s": 1.5}\n')

    plan = Plan(url="http://x", users="replay", trace=str(path), trace_scale=0.1)

    assert [1, 1.5, 1.5] == list(trace(path))
    assert [0.1, 0.15, 0.15] == pytest.approx(list(schedule(plan)))


def test_a_trace_ends_with_the_stages(tmp_path: Path):
    """
    A plan with stages replays no longer than they last.
    """
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(f'{{"at_s": {at_s}}}\n' for at_s in range(10)))

    assert [0, 1, 2, 3] == list(schedule(Plan(url="http://x", users="replay", trace=str(path), stages=hold(0.0, 3.0))))


def test_mooncake_trace(tmp_path: Path):
    """
    Mooncake's milliseconds count from the first line.
    """
    path = tmp_path / "mooncake.jsonl"
    path.write_text(
        '{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}\n'
        '{"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46]}\n'
    )

    assert [0, 3.053] == pytest.approx(list(trace(path)))


def test_azure_trace(tmp_path: Path):
    """
    Azure's time stamps of seven digits count from the first line.
    """
    path = tmp_path / "azure.csv"
    path.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
        "2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109\r\n"
    )

    assert [0, 4.314579] == pytest.approx(list(trace(path)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("hello\n", "line 1: neither JSON lines nor a CSV file"),
        ('{"at_s": 1}\n{"at_s": oops}\n', "line 2: not JSON"),
        ('{"at_s": 1}\n[1]\n', "line 2: an object is expected"),
        ('{"at_s": -1}\n', "line 1: at_s must be a number from 0 upwards; -1 is not one"),
        ('{"at_s": "1"}\n', "line 1: at_s must be a number"),
        ('{"at_s": NaN}\n', "line 1: at_s must be a number"),
        ('{"seconds": 1}\n', "line 1: neither at_s"),
        ('{"at_s": 2}\n{"at_s": 1}\n', "line 2: this is 1 s before the line above; sort the file"),
        ("TIMESTAMP,Tokens\nyesterday,1\n", "line 2: TIMESTAMP must be like"),
        ("TIMESTAMP,Tokens\n2023-11-16 18:15:46,1\n2023-11-16 18:15:47+01:00,1\n", "line 3: TIMESTAMP must be like"),
    ],
)
def test_what_is_no_trace(tmp_path: Path, text: str, said: str):
    """
    A trace that cannot be replayed is refused with its file, its line and the reason.
    """
    path = tmp_path / "bad"
    path.write_text(text)

    with pytest.raises(TraceError, match="bad") as caught:
        list(trace(path))

    assert said in str(caught.value)


def test_a_trace_that_is_not_there(tmp_path: Path):
    """
    A missing file, and a replay without a trace, are told apart.
    """
    with pytest.raises(TraceError, match="cannot be read"):
        list(trace(tmp_path / "none"))
    with pytest.raises(TraceError, match="needs a trace"):
        schedule(Plan(url="http://x", users="replay"))
