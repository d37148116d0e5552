"""Runs many scenarios, and keeps what is done when something goes wrong on the way."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from looprig.clock import Clock, RealClock, VirtualClock
from looprig.content import ScenarioFile, accepts
from looprig.runner import Outcome, RunOptions, run
from looprig.scenario import Scenario
from looprig.target import Target

DEFAULT_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a suite is run: seeds, scenario parameters as text, clock, token counter, where recordings go.

    ``providers`` are those whose rules every request has to keep, beside those that the loop names.
    """

    seed: int = DEFAULT_SEED
    seeds: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    clock: str = "virtual"
    tokens: str = "estimate"
    traces: Path | None = None
    turn_limit_s: float = 60.0
    providers: tuple[str, ...] = ()
    scenario_paths: Sequence[Path] = ()

    def new_clock(self) -> Clock:
        """Return a clock of the chosen kind, at its start."""
        return RealClock() if self.clock == "real" else VirtualClock()


@dataclass(frozen=True, slots=True)
class Step:
    """One run to do: a scenario, a seed, a loop, and where to record to."""

    file: ScenarioFile
    seed: int
    target: Target
    settings: Settings

    def scenario(self) -> Scenario:
        """Make the scenario with those of the settings' parameters that it has."""
        mine = {name: text for name, text in self.settings.parameters.items() if accepts(self.file, name)}
        return self.file.make(self.seed, mine)

    def run(self, on_turn: Callable[[int, int], None] | None = None, *, record: bool = True) -> Outcome:
        """Run it; *on_turn* is told how many of how many turns are done."""
        scenario = self.scenario()
        turns = len(scenario.turns)
        return run(
            scenario,
            self.target.make(),
            loop=self.target.spec,
            clock=self.settings.new_clock(),
            options=RunOptions(
                trace=self.trace_path() if record else None,
                tokens=self.settings.tokens,
                turn_limit_s=self.settings.turn_limit_s,
                providers=self.settings.providers,
                on_turn=None if on_turn is None else lambda done: on_turn(done, turns),
            ),
        )

    def trace_path(self) -> Path | None:
        """Return where the run is recorded."""
        if self.settings.traces is None:
            return None
        slug = re.sub(r"[^A-Za-z0-9._=-]+", "-", self.target.spec).strip("-.")[-80:]
        return self.settings.traces / f"{self.file.name}-{self.seed}-{slug}.jsonl"

    def replay_command(self) -> str:
        """Return a command that does the same run again, ready to be pasted."""
        words = ["looprig", "run", self._scenario_word(), "--seed", str(self.seed), "--loop", self.target.spec]
        for path in self.settings.scenario_paths:
            words += ["--scenarios", str(path)]
        for name, text in self.settings.parameters.items():
            if accepts(self.file, name):
                words += ["--set", f"{name}={text}"]
        for provider in self.settings.providers:
            words += ["--provider", provider]
        if self.settings.clock != "virtual":
            words += ["--clock", self.settings.clock]
        if self.settings.tokens != "estimate":
            words += ["--tokens", self.settings.tokens]
        return shlex.join(words)

    def _scenario_word(self) -> str:
        return self.file.name


def steps(files: Sequence[ScenarioFile], target: Target, settings: Settings) -> Iterator[Step]:
    """Yield the runs of a suite: every scenario with every seed."""
    for file in files:
        for seed in range(settings.seed, settings.seed + settings.seeds):
            yield Step(file, seed, target, settings)


def machine() -> dict[str, str | int]:
    """Return what a reader of figures has to know of the machine; no host or user name."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "processor": platform.machine(),
        "cpu": cpu(),
        "cores": os.cpu_count() or 1,
    }


@functools.cache
def cpu() -> str:
    """Return the model of the CPU, as the system calls it; where it does not say, what Python knows of it."""
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        facts = dict(re.findall(r"^([\w ]+?)\s*: *(.+)$", text, re.MULTILINE))
        arm = [facts[name] for name in ("CPU implementer", "CPU part") if name in facts]
        if model := facts.get("model name") or " ".join(arm):
            return model
    return platform.processor() or "unknown"
