"""What a run measures: exact metrics, which repeat to the last digit, and noisy ones, which do not.

With a scripted model almost everything that a loop costs can be counted: requests, messages, tokens, what a
provider's prompt cache would have saved. One value of these decides, and a change of one is a change.
CPU times are noisy: one value of them shows an order of size, no more.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from looprig.observe import RequestView, SessionView, TurnView, View
from looprig.toolbox import conflict, resources
from looprig.trace import Event, Noise, SessionEnded, Trimmed

Better = Literal["lower", "higher", "neither"]


class Metric(msgspec.Struct, frozen=True):
    """A metric's name, unit, whether it is exact, which direction is better, and what it is."""

    name: str
    unit: str
    exact: bool
    better: Better
    text: str


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("turns", "turns", True, "neither", "turns played"),
        Metric("requests", "requests", True, "lower", "how often the loop asked the model"),
        Metric("messages_said", "messages", True, "neither", "messages that joined the conversation"),
        Metric("messages_sent", "messages", True, "lower", "messages of all requests together"),
        Metric("tokens_sent", "tokens", True, "lower", "tokens of all requests together"),
        Metric("request_messages_peak", "messages", True, "lower", "messages of the largest request"),
        Metric("request_tokens_peak", "tokens", True, "lower", "tokens of the largest request"),
        Metric(
            "cached_prefix_share",
            "share",
            True,
            "higher",
            "tokens that repeat the prefix of the request before, of all tokens sent: what a prompt cache can save",
        ),
        Metric(
            "messages_copied",
            "messages",
            True,
            "lower",
            "messages sent as another object than the equal one of the request before",
        ),
        Metric(
            "history_messages_final",
            "messages",
            True,
            "lower",
            "the history at the end (the longest, of several sessions)",
        ),
        Metric("history_messages_peak", "messages", True, "lower", "the history at its longest, before a trim"),
        Metric("utilisation_final", "ratio", True, "lower", "final history by the loop's safe size, to two decimals"),
        Metric("utilisation_peak", "ratio", True, "lower", "peak history by the loop's safe size, to two decimals"),
        Metric("trims", "trims", True, "lower", "how often the history was trimmed"),
        Metric("trims_in_turn", "trims", True, "neither", "trims after which the same turn asked the model again"),
        Metric("messages_trimmed", "messages", True, "neither", "messages that trims took away"),
        Metric("messages_above_trigger", "messages", True, "lower", "appends that left the history above its trigger"),
        Metric("tool_runs", "runs", True, "neither", "how often a tool ran"),
        Metric(
            "parallel_speedup",
            "ratio",
            True,
            "higher",
            "time of the calls of shared rounds one by one, by the time taken",
        ),
        Metric(
            "parallel_speedup_possible",
            "ratio",
            True,
            "neither",
            "the same by the critical path: calls that conflict keep their order, all others run at once",
        ),
        Metric("turn_time_s_p50", "s", True, "lower", "half of the turns took at most this (exact in virtual time)"),
        Metric("turn_time_s_p99", "s", True, "lower", "99 of 100 turns took at most this (exact in virtual time)"),
        Metric("overhead_per_message_us", "us", False, "lower", "CPU time of the loop itself, per message"),
        Metric("trim_pause_us_p50", "us", False, "lower", "half of the trims took at most this"),
        Metric("trim_pause_us_p99", "us", False, "lower", "99 of 100 trims took at most this"),
        Metric("trim_pause_us_max", "us", False, "lower", "the longest trim"),
        Metric("retained_bytes", "bytes", False, "lower", "what the loop keeps alive at the end"),
    )
}

VIRTUAL_TIME = ("turn_time_s_p50", "turn_time_s_p99", "parallel_speedup", "parallel_speedup_possible")
"""Exact in virtual time, noisy in real time."""


class Meter:
    """Measures a run as it goes; memory grows by 16 bytes a turn and 8 a trim."""

    def __init__(self) -> None:
        self._sums = dict.fromkeys(
            ("turns", "requests", "messages_said", "messages_sent", "tokens_sent", "messages_copied", "tool_runs"), 0
        )
        self._peaks = {"request_messages_peak": 0, "request_tokens_peak": 0}
        self._cached_tokens = 0
        self._turn_times_s = array("d")
        self._loop_ns = 0
        self._trim_ns = array("d")
        self._retained: int | None = None
        self._parallel = [0.0, 0.0, 0.0]
        self._history = _HistoryMeter()

    def see(self, event: Event, view: View | None) -> None:
        """Take in one event, with the view that it completed."""
        match view:
            case RequestView():
                self._request(view)
            case TurnView():
                self._turn(view)
        self._history.see(event, view)
        if isinstance(event, Noise):
            self._noise(event)

    def _request(self, view: RequestView) -> None:
        size, tokens = len(view.entries), view.tokens
        sums, peaks = self._sums, self._peaks
        sums["requests"] += 1
        sums["messages_sent"] += size
        sums["tokens_sent"] += tokens
        sums["messages_copied"] += view.event.copied
        self._cached_tokens += view.same_tokens
        peaks["request_messages_peak"] = max(peaks["request_messages_peak"], size)
        peaks["request_tokens_peak"] = max(peaks["request_tokens_peak"], tokens)

    def _turn(self, view: TurnView) -> None:
        self._sums["turns"] += 1
        self._sums["messages_said"] += view.said
        self._sums["tool_runs"] += len(view.runs)
        if view.ended is not None:
            self._turn_times_s.append(view.ended.at_s - view.started_s)
        if len(view.runs) > 1:
            for number, total in enumerate(_round_times(view)):
                self._parallel[number] += total

    def _noise(self, event: Noise) -> None:
        if event.turn_ns is not None:
            self._loop_ns += event.turn_ns
        if event.trim_ns is not None:
            self._trim_ns.append(event.trim_ns)
        if event.retained_bytes is not None:
            self._retained = (self._retained or 0) + event.retained_bytes

    def values(self) -> dict[str, float]:
        """Return the metrics that the run has values for, in the order of `METRICS`."""
        values: dict[str, float] = {**self._sums, **self._peaks, **self._history.values()}
        if self._sums["tokens_sent"]:
            values["cached_prefix_share"] = round(self._cached_tokens / self._sums["tokens_sent"], 4)
        one_by_one, taken, critical = self._parallel
        if taken and critical:
            values["parallel_speedup"] = round(one_by_one / taken, 4)
            values["parallel_speedup_possible"] = round(one_by_one / critical, 4)
        values["turn_time_s_p50"] = round(quantile(self._turn_times_s, 0.50), 6)
        values["turn_time_s_p99"] = round(quantile(self._turn_times_s, 0.99), 6)
        values["overhead_per_message_us"] = round(self._loop_ns / 1000 / max(1, self._sums["messages_said"]), 3)
        if self._trim_ns:
            values["trim_pause_us_p50"] = round(quantile(self._trim_ns, 0.50) / 1000, 3)
            values["trim_pause_us_p99"] = round(quantile(self._trim_ns, 0.99) / 1000, 3)
            values["trim_pause_us_max"] = round(max(self._trim_ns) / 1000, 3)
        if self._retained is not None:
            values["retained_bytes"] = self._retained
        return {name: values[name] for name in METRICS if name in values}


class _HistoryMeter:
    """Follows the histories of a run's sessions.

    What the loop tells its listener is taken as it is. For a loop that tells nothing, the history is taken to be
    the last request and what was said since, and each request that dropped something is a trim.
    """

    def __init__(self) -> None:
        self._final: dict[int, int] = {}
        self._told: set[int] = set()
        self._safe_size: dict[int, int | None] = {}
        self._peak: dict[int, int] = {}
        self._trims = self._trimmed = self._above = 0
        self._in_turn = self._since_request = 0
        self._above_known = False

    def see(self, event: Event, view: View | None) -> None:
        match event:
            case Trimmed():
                self._told.add(event.session)
                self._trims += 1
                self._since_request += 1
                self._trimmed += event.before - event.after
            case SessionEnded() if event.history is not None:
                self._final[event.session] = event.history
        match view:
            case RequestView():
                self._request(view)
            case TurnView():
                self._turn(view)
            case SessionView():
                self._safe_size[view.session.number] = view.session.contract.safe_size

    def _request(self, view: RequestView) -> None:
        number = view.session.number
        if "observe" in view.session.offers:
            self._in_turn += self._since_request
            self._since_request = 0
            return
        self._peak[number] = max(self._peak.get(number, 0), len(view.entries) + 1)
        if view.dropped:
            self._trims += 1
            self._trimmed += len(view.dropped)

    def _turn(self, view: TurnView) -> None:
        number, ended = view.session.number, view.ended
        self._since_request = 0
        self._safe_size[number] = view.session.contract.safe_size
        if ended is None:
            return
        if ended.history is None:
            self._final[number] = len(view.session.entries) + len(view.session.unsent)
            return
        self._final[number] = ended.history
        self._peak[number] = max(self._peak.get(number, 0), ended.peak or 0)
        if ended.above_trigger is not None:
            self._above_known = True
            self._above += ended.above_trigger

    def values(self) -> dict[str, float]:
        values: dict[str, float] = {"trims": self._trims, "messages_trimmed": self._trimmed}
        if self._final:
            values["history_messages_final"] = max(self._final.values())
            values["history_messages_peak"] = max([*self._peak.values(), *self._final.values()])
        if self._above_known:
            values["messages_above_trigger"] = self._above
        if self._told:
            values["trims_in_turn"] = self._in_turn
        sizes = [size for size in self._safe_size.values() if size]
        if sizes and self._final:
            values["utilisation_final"] = round(values["history_messages_final"] / max(sizes), 2)
            values["utilisation_peak"] = round(values["history_messages_peak"] / max(sizes), 2)
        return values


def _round_times(view: TurnView) -> tuple[float, float, float]:
    """Return seconds for the rounds with several runs: one by one, as taken, and along the critical path."""
    rounds: dict[int, list[tuple[int, float, float]]] = {}
    for run in view.runs:
        ended = view.ends.get((run.round, run.call))
        if ended is not None and run.round >= 0:
            rounds.setdefault(run.round, []).append((run.call, run.at_s, ended.at_s))
    one_by_one = taken = critical = 0.0
    for number, runs in rounds.items():
        if len(runs) > 1:
            one_by_one += sum(end - start for _, start, end in runs)
            taken += max(end for _, _, end in runs) - min(start for _, start, _ in runs)
            critical += critical_path_s(view, number, {call: end - start for call, start, end in runs})
    return one_by_one, taken, critical


def critical_path_s(view: TurnView, number: int, durations_s: Mapping[int, float]) -> float:
    """Return the seconds that a round takes at least: the longest chain of calls that conflict, in call order.

    Calls conflict where one writes what the other reads or writes (`looprig.toolbox.conflict`); any schedule
    that keeps the order of conflicting calls gives the results of running them one by one.
    """
    if not 0 <= number < len(view.plan.rounds):
        return sum(durations_s.values())
    calls = view.plan.rounds[number].calls
    touched = {call: resources(calls[call].name, calls[call].inputs) for call in durations_s if call < len(calls)}
    ends: dict[int, float] = {}
    for call in sorted(touched):
        before = [ends[other] for other in ends if conflict(touched[other], touched[call])]
        ends[call] = max(before, default=0.0) + durations_s[call]
    return max(ends.values(), default=0.0)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least *share* of *values* do not exceed (nearest rank); 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * round(share * 1000) // 1000))
    return float(ordered[rank - 1])
