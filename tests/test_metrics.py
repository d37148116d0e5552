"""Metrics against naive computations over complete lists, as somebody would do them by hand."""

from __future__ import annotations

import asyncio
import itertools
import math
import statistics
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looprig.content import make_scenario
from looprig.loop import Contract
from looprig.messages import Message
from looprig.metrics import METRICS, Meter, critical_path_s, quantile
from looprig.observe import SessionState, TurnView
from looprig.runner import Outcome, RunOptions, run
from looprig.scenario import PlannedCall, Round, Scenario, Turn
from looprig.tokens import estimate, message_tokens
from looprig.toolbox import conflict, resources
from reference_loop import make_loop

# ---------------------------------------------------------------------------------------------------------------------
# Quantiles

VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=300)
SHARES = st.integers(1, 1000).map(lambda thousandths: thousandths / 1000)


@given(VALUES, SHARES)
def test_quantile(values: list[float], share: float):
    """
    A quantile is the smallest value that at least the share of the values do not exceed.
    """
    enough = [
        value for value in values if sum(other <= value for other in values) * 1000 >= round(share * 1000) * len(values)
    ]

    assert min(enough) == quantile(values, share)


@given(VALUES)
def test_median(values: list[float]):
    """
    The half is the lower median of the statistics module; the whole is the largest value.
    """
    assert statistics.median_low(values) == quantile(values, 0.5)
    assert max(values) == quantile(values, 1.0)


@pytest.mark.parametrize(
    ("size", "share", "value"),
    [(1, 0.99, 1), (2, 0.5, 1), (99, 0.99, 99), (100, 0.99, 99), (101, 0.99, 100), (1000, 0.99, 990), (3, 0.5, 2)],
)
def test_quantile_by_hand(size: int, share: float, value: int):
    """
    The nearest rank, on the numbers from 1.
    """
    assert value == quantile(range(1, size + 1), share)


def test_quantile_of_nothing():
    """
    Of no values there is none, and a report shows 0.
    """
    assert 0.0 == quantile([], 0.5)


# ---------------------------------------------------------------------------------------------------------------------
# The critical path

NAMES = st.sampled_from(["read_file", "write_file", "delete_file", "list_files", "search", "run_command", "unknown"])
CALLS = st.lists(
    st.builds(
        lambda name, path: PlannedCall(name=name, inputs={"path": path, "prefix": path}), NAMES, st.sampled_from("abc")
    ),
    min_size=1,
    max_size=5,
)


def turn_view(*rounds: Sequence[PlannedCall]) -> TurnView:
    plan = Turn(say="", answer="", rounds=tuple(Round(calls=tuple(calls)) for calls in rounds))
    return TurnView(SessionState(0, Contract(), ()), 0, plan, 0.0)


def quickest(calls: list[PlannedCall], durations: list[int]) -> float:
    """Return the shortest time of all schedules that start calls in some order, one after those it conflicts with."""
    touched = [resources(call.name, call.inputs) for call in calls]
    best = math.inf
    for order in itertools.permutations(range(len(calls))):
        place = {call: number for number, call in enumerate(order)}
        pairs = [(i, j) for i in range(len(calls)) for j in range(i) if conflict(touched[i], touched[j])]
        if any(place[j] > place[i] for i, j in pairs):
            continue  # conflicting calls in another order than that of the calls
        ends: dict[int, float] = {}
        for call in order:
            before = [ends[j] for i, j in pairs if i == call]
            ends[call] = max(before, default=0.0) + durations[call]
        best = min(best, max(ends.values()))
    return best


@given(CALLS, st.lists(st.integers(0, 9), min_size=5, max_size=5))
@settings(max_examples=200)
def test_critical_path(calls: list[PlannedCall], durations: list[int]):
    """
    No schedule that keeps the order of conflicting calls is quicker, and one is as quick.
    """
    given_ = dict(enumerate(map(float, durations[: len(calls)])))

    assert quickest(calls, durations) == critical_path_s(turn_view(calls), 0, given_)


def test_critical_path_by_hand():
    """
    Two writes of one file take their sum, reads beside them their longest; what the scenario does not know, the sum.
    """
    calls = [
        PlannedCall(name="write_file", inputs={"path": "a"}),
        PlannedCall(name="read_file", inputs={"path": "b"}),
        PlannedCall(name="write_file", inputs={"path": "a"}),
    ]
    view = turn_view(calls)

    assert 5.0 == critical_path_s(view, 0, {0: 2.0, 1: 4.0, 2: 3.0})
    assert 4.0 == critical_path_s(view, 0, {0: 2.0, 1: 4.0})
    assert 6.0 == critical_path_s(view, 7, {0: 2.0, 1: 4.0})
    assert 0.0 == critical_path_s(view, 0, {})


# ---------------------------------------------------------------------------------------------------------------------
# What is sent, against complete requests


class Chaos:
    """A loop that cuts its history as it likes, and keeps each request that it made."""

    def __init__(self, model: Any, tools: Any, random: Random, sent: list[list[Message]]) -> None:
        self.model, self.tools, self.random, self.sent = model, tools, random, sent
        self.kept: list[Message] = []
        self.dropped: list[Message] = []

    def send(self, text: str) -> Message:
        self.kept.append(Message(role="user", content=text))
        while True:
            self.cut()
            self.sent.append(list(self.kept))
            reply = self.model.complete(list(self.kept))
            self.kept.append(reply)
            if not reply.tool_calls:
                return reply  # type: ignore[no-any-return]
            for call in reply.tool_calls:
                arguments = msgspec.json.decode(call.arguments)
                result = self.tools[call.name].run(arguments)
                self.kept.append(Message(role="tool", content=result, tool_call_id=call.id))

    def cut(self) -> None:
        """Drop messages in front or in the middle, or take dropped ones back; the last one stays."""
        random = self.random
        size = len(self.kept) - 1
        match random.randrange(6):
            case 0:
                start = random.randrange(size + 1)
                stop = random.randrange(start, size + 1)
                self.dropped += self.kept[start:stop]
                del self.kept[start:stop]
            case 1 if self.dropped:
                back = self.dropped.pop(random.randrange(len(self.dropped)))
                self.kept.insert(random.randrange(size + 1), back)
            case 2:
                self.kept = [msgspec.structs.replace(message) for message in self.kept]


def chaos(seed: int, name: str = "working_day", **settings_: str) -> tuple[Outcome, dict[int, list[list[Message]]]]:
    """Run the loop on a scenario; return what was measured and, for each session, the requests."""
    sent: dict[int, list[list[Message]]] = {}

    def factory(model: Any, tools: Any) -> Chaos:
        number = len(sent)
        return Chaos(model, tools, Random(f"{seed}/{number}"), sent.setdefault(number, []))

    return run(make_scenario(name, seed, settings_), factory, options=RunOptions(judge=False)), sent


def common(one: Sequence[Message], other: Sequence[Message]) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def tokens(messages: Sequence[Message]) -> int:
    return sum(message_tokens(message, estimate) for message in messages)


@pytest.mark.parametrize("name", ["working_day", "long_tool_chain", "parallel_tools"])
@pytest.mark.parametrize("seed", range(6))
def test_sent(name: str, seed: int):
    """
    Messages, tokens, peaks, copies and the cacheable prefix are what complete lists of all requests give.
    """
    outcome, sent = chaos(seed, name)
    requests = [request for session in sent.values() for request in session]
    pairs = [pair for session in sent.values() for pair in itertools.pairwise([[], *session])]
    cached = sum(tokens(after[: common(before, after)]) for before, after in pairs)
    copied = sum(
        message is not old
        for before, after in pairs
        for olds in [{message: message for message in before}]
        for message in after
        if (old := olds.get(message)) is not None
    )

    measured = outcome.metrics
    assert len(requests) == measured["requests"]
    assert sum(map(len, requests)) == measured["messages_sent"]
    assert sum(map(tokens, requests)) == measured["tokens_sent"]
    assert max(map(len, requests)) == measured["request_messages_peak"]
    assert max(map(tokens, requests)) == measured["request_tokens_peak"]
    assert round(cached / sum(map(tokens, requests)), 4) == measured["cached_prefix_share"]
    # A message that comes back in another place can be matched in more than one way.
    assert measured["messages_copied"] <= copied


@pytest.mark.parametrize("seed", range(6))
def test_history_that_nobody_tells_of(seed: int):
    """
    Of a loop without a listener, the history at the end is the last request and what was said since.
    """
    outcome, sent = chaos(seed)

    assert max(len(session[-1]) + 1 for session in sent.values()) == outcome.metrics["history_messages_final"]
    assert (
        max(len(request) + 1 for session in sent.values() for request in session)
        == outcome.metrics["history_messages_peak"]
    )
    assert "messages_above_trigger" not in outcome.metrics


@pytest.mark.parametrize("name", ["working_day", "parallel_tools", "repeated_ids", "long_conversation"])
def test_tools_and_messages(name: str):
    """
    Runs of tools, messages and turns are those of the script, where a loop plays all of it.
    """
    scenario = make_scenario(name, 2)
    outcome = run(scenario, lambda model, tools: make_loop(model, tools, policy="never", approval="allow"))
    calls = sum(len(round_.calls) for turn in scenario.turns for round_ in turn.rounds)
    said = sum(2 + sum(1 + len(round_.calls) for round_ in turn.rounds) + len(turn.system) for turn in scenario.turns)
    systems = sum(len(turn.system) for turn in scenario.turns)

    assert len(scenario.turns) == outcome.metrics["turns"]
    assert calls == outcome.metrics["tool_runs"]
    assert said - systems == outcome.metrics["messages_said"]
    assert 0 == outcome.metrics["trims"]


# ---------------------------------------------------------------------------------------------------------------------
# Histories that the loop tells of


class Telling(Chaos):
    """The same with a listener that it tells of appends and trims."""

    contract: Any = {"trigger": 8, "safe_size": 10}  # noqa: RUF012 - a loop's contract is often written so

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.lengths: list[int] = []
        self.trims: list[tuple[int, int]] = []
        self.listener: Any = None

    def observe(self, listener: Any) -> None:
        self.listener = listener

    def send(self, text: str) -> Message:
        self._append(Message(role="user", content=text))
        reply = self.model.complete(list(self.kept))
        self._append(reply)
        return reply  # type: ignore[no-any-return]

    def _append(self, message: Message) -> None:
        self.kept.append(message)
        self.lengths.append(len(self.kept))
        self.listener.appended(len(self.kept))
        if len(self.kept) > 8 and self.random.random() < 0.5:
            before = len(self.kept)
            self.kept = self.kept[-self.random.randrange(1, 9) :]
            self.trims.append((before, len(self.kept)))
            self.listener.trimmed(before, len(self.kept), 1000 * len(self.trims))


@pytest.mark.parametrize("seed", range(8))
def test_history_that_the_loop_tells_of(seed: int):
    """
    What a loop tells its listener is what is measured.
    """
    loops: list[Telling] = []

    def factory(model: Any, tools: Any) -> Telling:
        loops.append(Telling(model, tools, Random(seed), []))
        return loops[-1]

    scenario = make_scenario("long_conversation", seed, {"messages": "120", "tool_every": "0"})
    measured = run(scenario, factory, options=RunOptions(judge=False)).metrics
    (loop,) = loops
    pauses = [float(number) for number in range(1, len(loop.trims) + 1)]

    assert len(loop.trims) == measured["trims"]
    assert sum(before - after for before, after in loop.trims) == measured["messages_trimmed"]
    assert len(loop.kept) == measured["history_messages_final"]
    assert max(loop.lengths) == measured["history_messages_peak"]
    assert round(len(loop.kept) / 10, 2) == measured["utilisation_final"]
    assert round(max(loop.lengths) / 10, 2) == measured["utilisation_peak"]
    # Above the trigger are the appends of more than 8 that no trim answered.
    above = sum(length > 8 for length in loop.lengths) - sum(after <= 8 for _, after in loop.trims)
    assert above == measured["messages_above_trigger"] + (len(loop.kept) > 8)  # the last append is not settled
    assert statistics.median_low(pauses) == measured["trim_pause_us_p50"]
    assert max(pauses) == measured["trim_pause_us_max"]


# ---------------------------------------------------------------------------------------------------------------------
# Times


def test_turn_times():
    """
    Turn times are those of virtual time, pauses of the user apart.
    """
    delays = [number / 2 for number in range(1, 101)]
    turns = tuple(
        Turn(say=f"[#s0t{number}] hi", answer="x", delay_s=delay, pause_s=1000.0) for number, delay in enumerate(delays)
    )
    measured = run(Scenario(name="delays", seed=1, turns=turns), make_loop).metrics

    assert (25.0, 49.5) == (measured["turn_time_s_p50"], measured["turn_time_s_p99"])


class OneByOne(Chaos):
    """A loop that runs tools one by one, and drops nothing."""

    def __init__(self, model: Any, tools: Any) -> None:
        super().__init__(model, tools, Random(1), [])

    def cut(self) -> None: ...


class AtOnce(OneByOne):
    """The same, but it runs the tools of a round at once."""

    async def send(self, text: str) -> Message:  # type: ignore[override]
        self.kept.append(Message(role="user", content=text))
        while True:
            reply = await self.model.acomplete(list(self.kept))
            self.kept.append(reply)
            if not reply.tool_calls:
                return reply  # type: ignore[no-any-return]
            runs = (self.tools[call.name].arun(msgspec.json.decode(call.arguments)) for call in reply.tool_calls)
            for call, result in zip(reply.tool_calls, await asyncio.gather(*runs), strict=True):
                self.kept.append(Message(role="tool", content=result, tool_call_id=call.id))


@pytest.mark.parametrize(("loop", "speedup"), [(AtOnce, 2.0), (OneByOne, 1.0)])
def test_parallel_speedup(loop: Any, speedup: float):
    """
    The speed-up is what shared rounds would take one by one, by what they took.
    """
    calls = tuple(PlannedCall(name="read_file", inputs={"path": path}, duration_s=2.0) for path in "ab")
    turns = (Turn(say="[#s0t0] hi", answer="x", rounds=(Round(calls=calls), Round(calls=calls[:1]))),)
    measured = run(Scenario(name="two", seed=1, turns=turns), loop).metrics

    assert (speedup, 2.0) == (measured["parallel_speedup"], measured["parallel_speedup_possible"])


def test_order_and_names():
    """
    Values come in the order of METRICS, under its names; of a run without events there are zeros.
    """
    measured = list(run(make_scenario("working_day", 1), make_loop).metrics)

    assert measured == [name for name in METRICS if name in measured]
    assert all(name == metric.name and metric.text for name, metric in METRICS.items())
    assert {0.0} == set(Meter().values().values())


def test_equal_messages_in_the_prefix():
    """
    A cut that happens to begin with the text the request before began with repeats that much of its prefix.
    """
    sent: list[list[Message]] = []

    class Echoes:
        """Sends its newest messages, behind two equal notes and then behind one."""

        def __init__(self, model: Any, tools: Any) -> None:
            self.model = model
            self.note = Message(role="system", content="Say it twice.")

        def send(self, text: str) -> Message:
            notes = [self.note] * (1 if sent else 2)
            sent.append([*notes, Message(role="user", content=text)])
            reply: Message = self.model.complete(sent[-1])
            return reply

    talk = Scenario(name="talk", seed=1, turns=[Turn(say=f"[#s0t{number}] hi", answer="hello") for number in range(2)])
    outcome = run(talk, Echoes)

    cached = message_tokens(sent[1][0], estimate)
    total = sum(message_tokens(message, estimate) for request in sent for message in request)
    assert round(cached / total, 4) == outcome.metrics["cached_prefix_share"]
