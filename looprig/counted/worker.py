"""The process that counts calls and bytes: ``python -m looprig.counted.worker``; see `looprig.counted.process`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from looprig.counted.meter import counting
from looprig.counted.process import answer, clock
from looprig.scenario import Scenario
from looprig.workload import Workload, messages_of


def _count(question: dict[str, Any], factory: Callable[..., Any], scenarios: Sequence[Scenario]) -> dict[str, Any]:
    (scenario,) = scenarios
    with Workload(factory, scenario, clock(question)) as workload:
        workload.play()  # what is made once is made now: imports, caches, looked-up replies
        with counting() as work:
            workload.play()
    return {
        "calls": work.calls,
        "bulk_bytes": work.bulk_bytes,
        "messages": sum(messages_of(turn) for turn in scenario.turns),
    }


if __name__ == "__main__":
    answer(_count)
