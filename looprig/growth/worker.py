"""The process that plays conversations for `looprig.growth`: ``python -m looprig.growth.worker``.

``clocked`` plays the scenario so often, each time anew, and reads the CPU clock at the stops; each conversation is
on one core, drawn at random, since two cores may differ in speed by more than what is looked for. (Timing a
conversation's beginning once more behind its end, against a core that changes its speed meanwhile, was tried: what is
played again right away is cheaper by a tenth, so that every loop seems to grow.) ``watched`` runs the scenario up to
each of the stops, and returns metrics.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from looprig.counted.process import answer, clock
from looprig.runner import RunOptions, run
from looprig.scenario import Scenario
from looprig.subject import LoopError
from looprig.workload import Workload


def _answer(question: dict[str, Any], factory: Callable[..., Any], scenarios: Sequence[Scenario]) -> dict[str, Any]:
    (scenario,) = scenarios
    if question["what"] == "clocked":
        return {"clocked": _clocked(question, factory, scenario)}
    return {"watched": [_watched(question, factory, scenario, turns) for turns in question["turns"]]}


def _clocked(question: dict[str, Any], factory: Callable[..., Any], scenario: Scenario) -> list[list[int]]:
    """Return the CPU clock at the stops, in nanoseconds, for each conversation."""
    rng = random.Random(question["seed"])
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    found = []
    with Workload(factory, scenario, clock(question)) as workload:
        workload.play()  # what is made once is made now: imports, caches, looked-up replies
        for _ in range(question["conversations"]):
            if cores:
                with contextlib.suppress(OSError):  # a core may be taken away meanwhile
                    os.sched_setaffinity(0, {rng.choice(cores)})
            gc.collect()
            gc.freeze()  # the scenario is looprig's, and the loop's garbage collections need not walk through it
            read: list[int] = []
            note = functools.partial(_note, read)
            workload.play(dict.fromkeys(question["turns"], note))
            found.append(read)
    return found


def _note(read: list[int]) -> None:
    read.append(time.process_time_ns())


def _watched(question: dict[str, Any], factory: Callable[..., Any], scenario: Scenario, turns: int) -> dict[str, float]:
    part = Scenario(name=scenario.name, seed=scenario.seed, params=scenario.params, turns=scenario.turns[:turns])
    outcome = run(part, factory, clock=clock(question), options=RunOptions(judge=False, tokens=question["tokens"]))
    if outcome.unusable:
        raise LoopError(outcome.unusable)
    return outcome.metrics


if __name__ == "__main__":
    answer(_answer)
