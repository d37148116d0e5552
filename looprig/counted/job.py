"""What is counted: a scenario, and a loop on each side."""

from __future__ import annotations

from typing import Protocol

from looprig.home import Party


class Job(Protocol):
    """One scenario, packed by `looprig.workload.pack`, and the two loops to play it; `looprig.paired.Job` is one."""

    @property
    def scenario_name(self) -> str: ...
    @property
    def packed_scenario(self) -> bytes: ...
    @property
    def before(self) -> Party: ...
    @property
    def after(self) -> Party: ...
