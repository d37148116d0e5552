"""Claims C1 to C4: approval, memory-aware execution, the framework for parallel execution, error context."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from looprig.phase3.bench import (
    LOOPS,
    OURS,
    PAIRS,
    Bench,
    conversation,
    logged,
    lookup,
    loop_of,
    plain,
    working,
)
from looprig.phase3.claim import Claim, Detail, Figure, Measured, Who, number
from looprig.phase3.listing import Listing
from looprig.phase3.memory import trigger_of
from looprig.scenario import PlannedCall, place_of

EXECUTION = "3.3 Optimized Tool Execution"

BATCH = 50
"""Calls of the batch that is to show whether memory is managed while it runs."""

SLEEPS = 8
SLEEP_S = 1.0

CATEGORIES = {"read": "read_file", "write": "write_file", "network": "search", "destructive": "delete_file"}
"""A tool of each category."""


def approvals(bench: Bench, who: Who) -> Measured:
    """C1: every cell of the table of decisions, categories and answers."""
    rows, wrong = [], 0
    for decision in ("allow", "deny", "ask"):
        for category, tool in CATEGORIES.items():
            for granted in (True, False):
                call = PlannedCall(name=tool, inputs={"path": "a", "query": "a", "text": "a"}, approve=granted)
                played = bench.watch(OURS, conversation(working(1, call)), approval={category: decision})
                ran = played.outcome.metrics["tool_runs"] > 0
                wrong += ran != (decision == "allow" or (decision == "ask" and granted))
                rows.append([decision, category, "yes" if granted else "no", "yes" if ran else "no"])
    return Measured(
        {
            "cells": Figure("decision, category and answer: combinations", len(rows)),
            "wrong": Figure("of these, decided wrongly", wrong),
        },
        [Detail("approvals", ["decision", "category", "the user says", "ran"], rows)],
    )


def aware(bench: Bench, who: Who) -> Measured:
    """C2: what a large batch does to a history that is one message short of its trigger."""
    trigger = trigger_of(PAIRS)
    if who == "seed":
        listing = Listing(PAIRS)
        listing.history = ["x"] * trigger
        lengths: list[int] = []

        def handle(name: str, arguments: object) -> dict[str, bool]:
            lengths.append(len(listing.history))
            return {"success": True}

        listing.handle = handle
        with logged():
            results = listing.execute_all([("search", {})] * BATCH)
        trims = sum(after < before for before, after in pairwise(lengths))
        longest = len(listing.history) + len(results)  # the report's code hands the results back when all are there
    else:
        turns = [plain()] * (trigger // 2)
        watched = bench.watch(OURS, conversation(*turns, working(1, *[lookup()] * BATCH)))
        trims, longest = len(watched.trims), watched.peak
    return Measured(
        {
            "trigger": Figure("the trigger, messages", trigger),
            "trims": Figure(f"trims while a batch of {BATCH} calls runs", trims),
            "longest": Figure("the history at its longest", longest),
        }
    )


def makespan(bench: Bench, who: Who) -> Measured:
    """C3: how long equal sleeps take that conflict with nothing, in virtual time."""
    scenario = conversation(working(1, *[lookup(SLEEP_S)] * SLEEPS))
    taken_s = bench.watch(loop_of(who), scenario).outcome.metrics["turn_time_s_p99"]
    rows: list[list[object]] = []
    for name, spec in LOOPS.items():
        metrics = bench.watch(spec, bench.scenario("parallel_tools")).outcome.metrics
        ratios = (metrics["parallel_speedup"], metrics["parallel_speedup_possible"])
        rows.append([name, spec, *(Figure("", ratio, "ratio") for ratio in ratios)])
    return Measured(
        {
            "taken": Figure(f"time of {SLEEPS} independent calls of {SLEEP_S:g} s", taken_s, "s"),
            "one_by_one": Figure("one after the other", SLEEPS * SLEEP_S, "s"),
            "speedup": Figure("speed-up", SLEEPS * SLEEP_S / taken_s, "ratio"),
        },
        [Detail("scenario parallel_tools", ["side", "loop", "speed-up", "that conflicts allow"], rows)],
    )


class _Shaped:
    """A tool that returns, for each place, another kind of thing."""

    name = "search"
    description = "Returns results of every shape."
    parameters: Mapping[str, Any] = {"type": "object", "properties": {"ref": {"type": "string"}}}
    category = "read"
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    async def arun(self, arguments: Mapping[str, Any]) -> object:
        """Return the result whose turn it is."""
        place = place_of(str(arguments["ref"]))
        return list(SHAPES.values())[place.call if place else 0]()


SHAPES: Mapping[str, Callable[[], object]] = {
    "a dict that says success": lambda: {"success": True, "rows": 3},
    "a dict of its own": lambda: {"rows": 3},
    "a list": lambda: [1, 2, 3],
    "a text": lambda: "three rows",
    "a number": lambda: 3,
    "nothing": lambda: None,
    "what JSON cannot hold": lambda: {"handle": object()},
}
"""Results of tools that all went well."""


def shapes(bench: Bench, who: Who) -> Measured:
    """C4: what becomes of results of every shape."""
    rows = _listed_shapes() if who == "seed" else _our_shapes(bench)
    return Measured(
        {
            "shapes": Figure("shapes of results, all of tools that went well", len(rows)),
            "crashed": Figure("of these, the turn crashes", sum(row[1] == "crashed" for row in rows)),
            "misjudged": Figure("of these, taken for a failure", sum(row[1] == "failed" for row in rows)),
        },
        [Detail("results of tools that went well", ["shape", "taken for", "text"], rows)],
    )


def _listed_shapes() -> list[list[str]]:
    rows = []
    for name, make in SHAPES.items():
        with logged() as records:
            try:
                Listing(PAIRS, handle=lambda _name, _arguments, make=make: make()).execute(("search", {}))  # type: ignore[misc]
            except Exception as error:
                rows.append([name, "crashed", f"{type(error).__name__}: {error}"])
                continue
        rows.append([name, "failed" if records[-1].levelname == "WARNING" else "ok", records[-1].getMessage()])
    return rows


def _our_shapes(bench: Bench) -> list[list[str]]:
    rows = []
    for number_, name in enumerate(SHAPES):
        calls = [lookup()] * (number_ + 1)  # the last of them returns this shape
        watched = bench.watch(OURS, conversation(working(1, *calls)), tools={"search": _Shaped()})
        results = [message.content for message in watched.loop.history if message.role == "tool"]
        failures = watched.loop.statistics()["tool_execution.failures"]
        answered = watched.loop.history[-1].content.endswith("done")
        state = "crashed" if len(results) < len(calls) or not answered else "failed" if failures else "ok"
        rows.append([name, state, results[-1] if results else ""])
    return rows


CLAIMS = (
    Claim(
        id="C1",
        words="Check Approval with advanced policy",
        where=EXECUTION,
        rule="in every combination of decision, category and answer a tool runs exactly where it may",
        measure=approvals,
        holds=lambda v: v["wrong"] == 0,
        on=("ours",),
        reason="the report names the method that asks and prints neither it nor the policy",
    ),
    Claim(
        id="C2",
        words="Memory-aware execution with automatic cleanup, after each tool execution",
        where=EXECUTION,
        rule="the history is trimmed while a batch runs, and is never longer than one message above its trigger",
        measure=aware,
        holds=lambda v: number(v["trims"]) > 0 and number(v["longest"]) <= number(v["trigger"]) + 1,
    ),
    Claim(
        id="C3",
        words="Parallel Execution Framework: COMPLETE; dependency analysis framework in place",
        where="3.4 Parallel Tool Execution Framework",
        rule="independent calls take less time than one after the other",
        measure=makespan,
        holds=lambda v: number(v["taken"]) < number(v["one_by_one"]),
        shows=("looprig run parallel_tools --loop reference",),
    ),
    Claim(
        id="C4",
        words="Error tracking with detailed context; error context preservation for debugging",
        where=EXECUTION,
        rule="no result of a tool that went well crashes the turn or is taken for a failure",
        measure=shapes,
        holds=lambda v: v["crashed"] == 0 and v["misjudged"] == 0,
    ),
)
