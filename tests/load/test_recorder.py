"""Every turn ends in one way, and what several processes count adds up to what one would have counted."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from looprig.load.histogram import Histogram
from looprig.load.plan import Plan
from looprig.load.recorded import Tally
from looprig.load.recorder import Recorder, bucket, merged
from looprig.load.stages import hold
from looprig.load.turns import End, Stopwatch, Text

PLAN = Plan(url="http://127.0.0.1:1", stages=hold(1.0, 100.0), slos={"ttft": 0.5, "tpot": 0.1})

kinds = st.sampled_from(["finished", "failed", "cancelled", "dropped"])
turns = st.lists(
    st.tuples(st.floats(0, 120), kinds, st.floats(0.01, 2.0), st.integers(0, 4), st.integers(1, 12)), max_size=40
)


def play(recorder: Recorder, turn) -> None:
    due, how, lasted, pieces, number = turn
    recorder.offered(due)
    if how == "dropped":
        recorder.dropped(due)
        return
    recorder.started(due)
    if how == "failed":
        recorder.failed(due, due + lasted, f"status {500 + pieces}")
    elif how == "cancelled":
        recorder.cancelled(due, due + lasted, "abandoned")
    else:
        watch = Stopwatch(due, due)
        for piece in range(pieces):
            watch.note(Text("x"), due + lasted * (piece + 1) / 5)
        watch.note(End(trim_pause_s=0.001, input_tokens=3), due + lasted)
        recorder.finished(watch, number, due, due + lasted)


def recorded(turns, plan=PLAN) -> Recorder:
    recorder = Recorder(plan)
    for turn in turns:
        play(recorder, turn)
    return recorder


@given(st.lists(turns, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_processes_add_up(parts, random):
    """
    Cut over processes in any way and merged in any order, through JSON: the record of one process.
    """
    tallies = [msgspec.json.decode(msgspec.json.encode(recorded(part).tally(9.0)), type=Tally) for part in parts]
    random.shuffle(tallies)
    whole = merged([recorded([turn for part in parts for turn in part]).tally(9.0)])

    together = merged(tallies)

    assert whole.counts == together.counts
    assert whole.histograms == together.histograms
    assert whole.series == together.series
    assert len(parts) == together.workers_seen


@given(turns)
def test_every_turn_ends_in_one_way(turns):
    """
    What was offered is what was finished, failed, cancelled and dropped; what was started is all of it but the last.
    """
    counts = recorded(turns).tally(0).counts
    ends = [counts.get(how, 0) for how in ("finished", "failed", "cancelled", "dropped")]

    assert counts.get("offered", 0) == sum(ends) == len(turns)
    assert counts.get("started", 0) == sum(ends[:3])
    assert counts.get("failed", 0) == sum(count for name, count in counts.items() if name.startswith("failed/"))


@given(turns)
def test_series_are_the_counts_by_second(turns):
    """
    The series of a count sums up to the count.
    """
    tally = recorded(turns).tally(0)

    for name in ("offered", "finished", "failed", "cancelled", "dropped", "good", "tokens_out"):
        assert tally.counts.get(name, 0) == sum(second.get(name, 0) for second in tally.series.values())


def finished(plan: Plan, ttft: float, tpot: float, broken=(), due=1.0) -> Tally:
    recorder = Recorder(plan)
    recorder.offered(due)
    recorder.started(due)
    watch = Stopwatch(due, due)
    watch.note(Text("a"), due + ttft)
    watch.note(Text("b"), due + ttft + tpot)
    watch.note(End(violations=broken), due + ttft + tpot)
    recorder.finished(watch, 1, due, due + ttft + tpot)
    return recorder.tally(5.0)


def test_good_turns():
    """
    A turn is good that keeps every limit and broke no invariant; a limit of what it has no value of is not applied.
    """
    assert 1 == finished(PLAN, 0.4, 0.05).counts["good"]
    assert "good" not in finished(PLAN, 0.6, 0.05).counts
    assert "good" not in finished(PLAN, 0.4, 0.2).counts
    broken = finished(PLAN, 0.4, 0.05, broken=("LR121",)).counts
    assert "good" not in broken
    assert (1, 1) == (broken["server_violations"], broken["server_violations/LR121"])
    assert 1 == finished(msgspec.structs.replace(PLAN, slos={"tool_chain": 0.1}), 9.0, 9.0).counts["good"]


def test_window():
    """
    Turns that came due in the warm-up or the cool-down are counted, and measured not.
    """
    plan = msgspec.structs.replace(PLAN, warmup_s=10, cooldown_s=20)

    for due, inside in ((9.9, False), (10.0, True), (79.9, True), (80.0, False)):
        tally = finished(plan, 0.1, 0.1, due=due)
        assert 1 == tally.counts["finished"]
        assert inside == ("window/finished" in tally.counts)
        assert inside == ("ttft" in tally.histograms)


def test_buckets():
    """
    Metrics that a growing history may change are kept by the turn's bucket too.
    """
    assert ["1", "2-4", "2-4", "5-9", "5-9", "10+", "10+"] == [bucket(turn) for turn in (1, 2, 4, 5, 9, 10, 400)]
    tally = finished(PLAN, 0.1, 0.1)

    assert tally.histograms["ttft"] == tally.histograms["ttft{turn=1}"]
    assert 1 == Histogram.from_builtins(tally.histograms["icl"]).count


def test_reasons_are_bounded():
    """
    Reasons with a number in them do not fill the memory; all of them are still counted.
    """
    recorder = Recorder(PLAN)
    for number in range(500):
        recorder.offered(1.0)
        recorder.failed(1.0, 2.0, f"error {number}")
    counts = recorder.tally(3.0).counts

    assert 500 == counts["failed"] == sum(count for name, count in counts.items() if name.startswith("failed/"))
    assert len(counts) < 120
    assert counts["failed/another reason"] > 300


def test_levels():
    """
    Levels such as open sessions are of a second; the last one noted counts, and processes' add up.
    """
    recorder = Recorder(PLAN)
    recorder.sample(1.2, in_flight=5)
    recorder.sample(1.9, in_flight=3)

    both = merged([recorder.tally(2.0), recorder.tally(2.0)])

    assert {"1": {"in_flight": 6}} == both.series
    assert json.loads(msgspec.json.encode(both))
