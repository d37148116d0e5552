"""Whatever happens to a turn is counted, once, by its reason; users come and go as the plan says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from looprig.content import load
from looprig.load.histogram import Histogram
from looprig.load.plan import Arrivals, Plan, Talk, Think
from looprig.load.stages import hold, steps
from looprig.load.turns import End, Text
from tests.loadtests.rig import converse, in_process, known_service, play, truth, users

AT_ONCE = Think(median_s=0)


def plan_for(url: str, folder: Path, **changes) -> Plan:
    usual: dict[str, Any] = {"stages": hold(1.0, 60.0), "talk": Talk(turns=3, think=AT_ONCE), "stop_timeout_s": 5.0}
    return Plan(url=url, folder=str(folder), **(usual | changes))


def ends(counts: dict[str, int]) -> dict[str, int]:
    """Return how the turns ended that were started."""
    return {how: counts[how] for how in ("finished", "failed", "cancelled") if how in counts}


def test_a_session(tmp_path: Path):
    """
    A session is opened with the scenario and seed whose texts are said, has its turns, and is closed.
    """
    with known_service("--tokens", "3") as url:
        plan = plan_for(url, tmp_path, seed=7)
        tally = converse(plan)
        seen = truth(url)

    assert {"finished": 3} == ends(tally.counts)
    assert (1, 3, 1) == (seen["opened"], seen["ended"], seen["closed"])
    opened, *turns = seen["seen"]
    assert {"scenario": "long_conversation", "seed": 7, "parameters": {}} == opened
    assert ["[#s0t0]", "[#s0t1]", "[#s0t2]"] == [turn["text"].split()[0] for turn in turns]
    assert 9 == tally.counts["tokens_out"]


@pytest.mark.parametrize(
    ("fault", "reason", "failures"),
    [
        ("cut", "broken stream", 3),
        ("no-end", "no end marker", 3),
        ("error", "error loop", 3),
        ("status", "status 503", 3),
        ("garbled", "undecodable text", 3),
        ("not-json", "unreadable event", 3),
    ],
)
def test_turns_that_fail(tmp_path: Path, fault: str, reason: str, failures: int):
    """
    Each fault of a stream is a failed turn, counted by its reason, and never a success; the conversation goes on.
    """
    with known_service("--fault", fault) as url:
        counts = converse(plan_for(url, tmp_path)).counts

    assert {"failed": failures} == ends(counts)
    assert failures == counts[f"failed/{reason}"] == counts["offered"] == counts["started"]


def test_some_turns_fail(tmp_path: Path):
    """
    Every second stream is cut: these fail, and the others are as they were.
    """
    with known_service("--fault", "cut", "--every", "2") as url:
        plan = plan_for(url, tmp_path, talk=Talk(turns=6, think=AT_ONCE))
        counts = converse(plan).counts

    assert {"failed": 3, "finished": 3} == ends(counts)


def test_nobody_there(tmp_path: Path):
    """
    Without a service, the first turn fails, and the conversation is over with it.
    """
    with known_service() as url:
        pass
    counts = converse(plan_for(url, tmp_path)).counts

    assert {"failed": 1} == ends(counts)
    assert 1 == counts["failed/no connection"]


def test_broken_invariants_are_counted(tmp_path: Path):
    """
    A turn whose end tells of a broken invariant is finished, but not good.
    """
    with known_service("--fault", "violation") as url:
        counts = converse(plan_for(url, tmp_path)).counts

    assert {"finished": 3} == ends(counts)
    assert 3 == counts["server_violations"] == counts["server_violations/LR121"]
    assert "good" not in counts


def test_users_who_leave(tmp_path: Path):
    """
    A user who leaves in the middle of an answer closes the connection, which is a cancelled turn and no failure.
    """
    with known_service("--tokens", "40", "--itl-ms", "5") as url:
        counts = converse(plan_for(url, tmp_path, talk=Talk(turns=3, think=AT_ONCE, abandon=1.0))).counts
        seen = truth(url)

    assert {"cancelled": 3} == ends(counts)
    assert 3 == counts["cancelled/abandoned"]
    assert 0 == seen["ended"]


def test_direct(tmp_path: Path):
    """
    Talking to an OpenAI-compatible URL, the whole conversation is sent each turn, with the answers in between.
    """
    with known_service("--tokens", "2") as url:
        counts = converse(plan_for(url, tmp_path, protocol="chat-completions", model="m")).counts
        seen = truth(url)["seen"]

    assert {"finished": 3} == ends(counts)
    assert [1, 3, 5] == [len(body["messages"]) for body in seen]
    assert {"role": "assistant", "content": "0 word1 word"} == seen[2]["messages"][1]
    assert {"m"} == {body["model"] for body in seen}
    assert 6 == counts["tokens_out"]


def test_a_failed_turn_is_not_part_of_a_direct_conversation(tmp_path: Path):
    """
    What was not answered is not sent again as if it had been.
    """
    with known_service("--fault", "cut", "--every", "2") as url:
        plan = plan_for(url, tmp_path, protocol="chat-completions")
        converse(plan)
        seen = truth(url)["seen"]

    assert [1, 3, 3] == [len(body["messages"]) for body in seen]


class Raises(users.ChatUser):
    abstract = True

    def turn(self, session, text):
        yield Text("a")
        raise KeyError("a bug of whoever wrote this")


class Silent(users.ChatUser):
    abstract = True

    def turn(self, session, text):
        return None


class Unfinished(users.ChatUser):
    abstract = True

    def turn(self, session, text):
        return [Text("a")]


class Listed(users.ChatUser):
    abstract = True

    def turn(self, session, text):
        return [Text("a"), Text("b"), End()]


@pytest.mark.parametrize(
    ("kind", "reason"), [(Raises, "KeyError"), (Silent, "no events"), (Unfinished, "no end marker")]
)
def test_an_own_turn_that_is_wrong(tmp_path: Path, kind, reason: str):
    """
    What one's own turn() does wrong is a failed turn with a reason, and ends nothing else.
    """
    counts = converse(plan_for("http://127.0.0.1:1", tmp_path, talk=Talk(turns=1)), kind).counts

    assert {"failed": 1} == ends(counts)
    assert 1 == counts[f"failed/{reason}"]


def test_an_own_turn_needs_no_http(tmp_path: Path):
    """
    Whatever yields the events is a turn, also a list: nothing asks for HTTP.
    """
    counts = converse(plan_for("http://127.0.0.1:1", tmp_path), Listed).counts

    assert {"finished": 3} == ends(counts)


# Whole runs, in this process


def test_arrivals(tmp_path: Path):
    """
    Sessions arrive as scheduled; every turn is offered, ends, and is known to the service.
    """
    with known_service("--tokens", "2", "--ttft-ms", "5") as url:
        plan = plan_for(url, tmp_path, stages=hold(40.0, 1.0), arrivals=Arrivals(kind="constant"))
        tally = play(plan)
        seen = truth(url)

    assert 40 == tally.counts["sessions"] == seen["opened"]
    assert tally.counts["started"] == tally.counts["offered"] == seen["started"]
    assert tally.counts["offered"] == sum(ends(tally.counts).values())
    assert "failed" not in tally.counts
    for name in ("ttft", "e2e", "queue"):
        assert tally.counts["finished"] == Histogram.from_builtins(tally.histograms[name]).count
    assert Histogram.from_builtins(tally.histograms["gen.beat"]).count > 90


def test_arrivals_beyond_the_bound_are_dropped(tmp_path: Path):
    """
    With room for three sessions at a time, the others are dropped, which is counted and never a delay.
    """
    with known_service("--ttft-ms", "1000") as url:
        plan = plan_for(url, tmp_path, stages=hold(20.0, 1.0), arrivals=Arrivals(kind="constant", in_flight_most=3))
        counts = play(plan).counts

    assert 20 <= counts["offered"]
    assert counts["dropped"] >= 12
    assert counts["offered"] == counts["dropped"] + counts["started"]


def test_turns_that_are_not_over_at_the_end(tmp_path: Path):
    """
    Turns that are under way when a run is over have until the stop timeout; then they are cancelled, never lost.
    """
    with known_service("--fault", "silent") as url:
        plan = plan_for(url, tmp_path, stages=hold(20.0, 0.5), stop_timeout_s=0.3)
        counts = play(plan).counts

    assert counts["offered"] == counts["cancelled"] == counts["cancelled/unfinished"] > 0


def test_slow_turns_are_waited_for(tmp_path: Path):
    """
    A turn that ends within the stop timeout is a finished one: the slowest are not left out.
    """
    with known_service("--ttft-ms", "1000") as url:
        plan = plan_for(url, tmp_path, stages=hold(10.0, 0.5), talk=Talk(turns=1), stop_timeout_s=30.0)
        counts = play(plan).counts

    assert counts["offered"] == counts["finished"] > 0


def test_closed(tmp_path: Path):
    """
    Users of a closed loop talk, think and talk again, each in a session of its own, until the run is over.
    """
    with known_service("--tokens", "2", "--ttft-ms", "5") as url:
        talk = Talk(turns=2, think=Think(median_s=0.1, sigma=0.1))
        tally = play(plan_for(url, tmp_path, users="closed", stages=hold(5.0, 1.0), talk=talk))
        seen = truth(url)

    assert tally.counts["sessions"] == seen["opened"] >= 5
    assert tally.counts["started"] == seen["started"]
    assert tally.counts["offered"] == sum(ends(tally.counts).values())
    assert {"finished"} <= set(ends(tally.counts))
    assert "think" in tally.histograms


def test_replay(tmp_path: Path):
    """
    A trace's sessions arrive at its times, scaled; the run is over when they are.
    """
    trace = tmp_path / "trace.jsonl"
    trace.write_text("".join(f'{{"at_s": {number / 2}}}\n' for number in range(10)))

    with known_service("--ttft-ms", "5") as url:
        plan = plan_for(url, tmp_path, users="replay", stages=(), trace=str(trace), trace_scale=0.2)
        counts = play(plan).counts

    assert 10 == counts["sessions"]
    assert {"finished": 30} == ends(counts)


def test_a_trace_that_breaks_off(tmp_path: Path):
    """
    A trace that is damaged further down is replayed up to there, and the record says so.
    """
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"at_s": 0}\n{"at_s": 0.1}\nhello\n')

    with known_service() as url:
        tally = play(plan_for(url, tmp_path, users="replay", stages=(), trace=str(trace)))

    assert 2 == tally.counts["sessions"]
    assert "line 3" in str(tally.facts)


def test_a_staircase_that_is_given_up(tmp_path: Path):
    """
    Where no turn keeps the limits, a staircase ends after three steps, and says so.
    """
    with known_service("--ttft-ms", "50") as url:
        plan = plan_for(
            url, tmp_path, stages=steps(5, 5, 20, 1.0), talk=Talk(turns=1), slos={"ttft": 0.01}, give_up_below=0.9
        )
        tally = play(plan)

    assert tally.lasted_s < 15
    assert "fewer than 0.9" in str(tally.facts)
    assert "good" not in tally.counts


def test_rows_in_locusts_table(tmp_path: Path):
    """
    Metrics have rows of their own in locust's table, and no request is counted twice for that.
    """
    with known_service("--ttft-ms", "5") as url:
        plan = plan_for(url, tmp_path, stages=hold(10.0, 1.0))
        with in_process(plan) as (surroundings, where):
            assert surroundings.runner is not None
            surroundings.runner.start_shape()
            where.run.begun.wait()
            where.run.done.wait(60)
            finished = where.tally().counts["finished"]
            stats = surroundings.stats

    assert finished == stats.total.num_requests == stats.entries[("long_conversation", "turn")].num_requests
    assert {"ttft", "tpot", "e2e", "trim_pause"} == {name for name, kind in stats.entries if kind == "metric"}
    assert finished == stats.entries[("ttft", "metric")].num_requests


def test_the_file_that_locust_loads_has_one_kind_of_user():
    """
    Loading the users' file brings nothing that locust would start by itself.
    """
    module = load(Path(users.__file__))

    assert all(getattr(module, name).abstract for name in ("ChatUser", "SessionChat", "DirectChat"))
